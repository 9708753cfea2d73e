// What the reader chose. All of it lives in the address, so that a link shows the same view.

const DEFAULTS = {
  view: "board",
  encoder: "",
  family: "overview",
  data: "",
  direction: "invariance",
  sort: "",
  q: "",
  group: "",
  origin: "",
  library: "",
  training: "",
  size: "",
  parameter: "",
  intervals: "1",
  facts: "",
  own: "1",
  scale: "absolute",
  zoom: "1",
  x: "",
  y: "",
  column: "",
  pdata: "",
  adata: "",
  kdata: "",
  rdata: "",
  query: "",
  stask: "",
  gallery: "",
  strip: "",
  result: "",
  want: "",
  trace: "",
  floor: "",
};

const CHOICES = {
  view: ["report", "board", "detectors", "figures", "about", "encoder"],
  direction: ["invariance", "forensics"],
  intervals: ["", "1"],
  facts: ["", "1"],
  own: ["", "1"],
  scale: ["absolute", "difference"],
  zoom: ["", "1"],
};

/** The view that an address without one shows. */
export function opensAt(view) {
  DEFAULTS.view = view;
}

/** State from an address's fragment; what is unknown or malformed is dropped. */
export function read(fragment) {
  const state = { ...DEFAULTS };
  for (const [name, value] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (!Object.hasOwn(DEFAULTS, name)) continue;
    if (CHOICES[name] && !CHOICES[name].includes(value)) continue;
    state[name] = value.slice(0, 500);
  }
  return state;
}

/** The fragment that brings the state back; defaults are left out. */
export function write(state) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== DEFAULTS[name]) parameters.set(name, value);
  }
  return `#${parameters}`;
}

export function defaults() {
  return { ...DEFAULTS };
}

/** A list kept in one parameter. Names may hold commas, so they are joined by "|". */
export function list(text) {
  return text ? text.split("|") : [];
}
