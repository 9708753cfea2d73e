// The page: reads the address, draws the view, writes the address. Data come from data.js before this script.
import { renderAbout } from "./about.js";
import { createChoice, elsewhere } from "./choose.js";
import { createControls } from "./controls.js";
import { renderDetectors } from "./detectors.js";
import { keep, received } from "./detail.js";
import { byId, fill } from "./dom.js";
import { save, toCsv, toJson } from "./download.js";
import { createEncoderPage } from "./encoder.js";
import { createFigures } from "./figures.js";
import { count, counted } from "./format.js";
import * as m from "./model.js";
import { createReport } from "./report.js";
import { defaults, opensAt, read, write } from "./state.js";
import { createTable, direction, view } from "./table.js";

const FILTERS = ["q", "group", "origin", "library", "training", "size", "parameter", "floor"];

window.CAMTRACE = { detail: received };

// A report carries its data in itself, a board beside itself.
const carried = byId("camtrace-board");
const raw = carried ? JSON.parse(carried.textContent) : window.CAMTRACE_BOARD;

if (raw) start(m.model(raw));
else byId("status").textContent = "data.js is missing beside this page: build the site again.";

function start(board) {
  if (board.report) {
    opensAt("report");
    keep(board.details);
    byId("nav-report").hidden = false;
    byId("tagline").textContent = board.tagline;
  }
  let state;
  const linkTo = (patch) => write({ ...state, ...patch });
  const table = createTable({ board, container: byId("table"), onSort: sortBy, linkTo: (row) => linkTo({ view: "encoder", encoder: row.key }) });
  const controls = createControls({ board, container: byId("controls"), change, reset });
  const choice = createChoice({ board, verdict: byId("verdict"), container: byId("choice"), change, linkTo });
  const figures = createFigures({ board, container: byId("figures"), change, linkTo });
  const encoder = createEncoderPage({ board, container: byId("encoder"), linkTo, copy });
  const report = createReport({ board, container: byId("report"), change, linkTo });
  let aboutDone = false;
  let detectorsDone = false;
  if (board.detectors) {
    byId("nav-detectors").hidden = false;
    if (!board.families.length) {
      if (!board.report) opensAt("detectors");
      for (const link of document.querySelectorAll('nav a[data-view="board"], nav a[data-view="figures"]')) link.hidden = true;
    }
  }

  state = address();
  document.querySelector("h1").textContent = board.title;
  byId("stand").textContent = `${counted(board.rows.length, "encoder")}, ${counted(board.columns.length, "column")}; newest result of ${board.generated}; camtrace ${board.version}.`;
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      change({ view: link.dataset.view, encoder: "" }, true);
    });
  }
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  byId("csv").addEventListener("click", () => save("camtrace-board.csv", "text/csv", toCsv(view(board, state), state)));
  byId("json").addEventListener("click", () => save("camtrace-board.json", "application/json", toJson(view(board, state), state, board)));
  byId("copy").addEventListener("click", () => copy(location.href));
  byId("theme").addEventListener("change", (event) => theme(event.target.value));
  window.addEventListener("hashchange", () => {
    state = address();
    render();
  });
  let width = window.innerWidth;
  let timer = 0;
  window.addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (window.innerWidth !== width && ["figures", "report", "board"].includes(state.view)) render();
      width = window.innerWidth;
    }, 150);
  });
  theme(remembered());
  render();
  document.documentElement.dataset.ready = "true";

  /** The address's state, with a family that this board has. */
  function address() {
    const wanted = read(location.hash);
    const family = board.families.find(({ id }) => id === wanted.family) ?? board.families[0];
    return { ...wanted, family: family?.id ?? "" };
  }

  function change(patch, push = false) {
    const previous = state;
    state = { ...state, ...patch };
    // A sort belongs to the columns it was chosen in.
    if (patch.family !== undefined && patch.family !== previous.family) Object.assign(state, { sort: "", data: m.dataOf(board, state.family).some(({ id }) => id === state.data) ? state.data : "" });
    if (patch.direction !== undefined) state.sort = "";
    history[push ? "pushState" : "replaceState"](null, "", write(state));
    render();
  }

  function reset() {
    const blank = defaults();
    change(Object.fromEntries(FILTERS.map((name) => [name, blank[name]])));
    byId("search").focus();
  }

  function sortBy(id) {
    const { sorting } = view(board, state);
    const active = sorting.by ? sorting.by === id : sorting.column?.id === id;
    const flipped = sorting.descending ? "asc" : "desc";
    change({ sort: active ? `${id}.${flipped}` : id });
  }

  function render() {
    for (const name of ["report", "board", "detectors", "figures", "about", "encoder"]) byId(`view-${name}`).hidden = state.view !== name;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      link.setAttribute("href", linkTo({ view: link.dataset.view, encoder: "" }));
    }
    const filtered = state.view === "board" || state.view === "figures";
    byId("controls").hidden = !filtered;
    byId("controls").classList.toggle("figures-only", state.view === "figures");
    if (filtered) controls(state);
    byId("view-board").classList.toggle("split", state.family === m.OVERVIEW);
    if (state.view === "board") {
      table.render(state);
      choice(state);
      fill(byId("elsewhere"), state.family === m.OVERVIEW ? elsewhere(board, state, linkTo) : null);
    }
    if (state.view === "figures") figures(state);
    if (state.view === "report") report(state);
    if (state.view === "encoder") encoder(state);
    if (state.view === "detectors" && board.detectors && !detectorsDone) {
      renderDetectors(board, byId("detectors"), linkTo);
      detectorsDone = true;
    }
    if (state.view === "about" && !aboutDone) {
      renderAbout(board, byId("about"));
      aboutDone = true;
    }
    announce();
  }

  function announce() {
    byId("status").hidden = !["board", "figures"].includes(state.view);
    if (byId("status").hidden) return;
    const { rows, sorting, columns } = view(board, state);
    const missing = sorting.column ? rows.filter((row) => !row.cells[sorting.column.index]).length : 0;
    const overview = state.view === "board" && state.family === m.OVERVIEW;
    const order = sorting.by
      ? `sorted by ${sorting.by}`
      : sorting.column
        ? `${overview ? "" : `sorted by ${sorting.column.label}; `}rank 1 is the ${direction(sorting.column, state)}${sorting.accurate ? " among those accurate enough" : ""}`
        : "";
    const text = [
      `${count(rows.length)} of ${counted(board.rows.length, "encoder")}${overview ? "" : `, ${counted(columns.length, "column")}`}`,
      order,
      missing ? `${missing} without this score come last` : "",
    ];
    byId("status").textContent = text.filter(Boolean).join("; ") + ".";
  }

  async function copy(text) {
    byId("status").hidden = false;
    try {
      await navigator.clipboard.writeText(text);
      byId("status").textContent = "Copied.";
    } catch {
      byId("status").textContent = `Copying is not allowed here: ${text}`;
    }
  }
}

function theme(choice) {
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
  else delete document.documentElement.dataset.theme;
  byId("theme").value = choice;
  try {
    localStorage.setItem("camtrace-theme", choice);
  } catch {
    // Storage is off: the choice lasts as long as the page.
  }
}

function remembered() {
  try {
    const choice = localStorage.getItem("camtrace-theme");
    return ["light", "dark"].includes(choice) ? choice : "auto";
  } catch {
    return "auto";
  }
}
