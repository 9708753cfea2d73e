// Search, filters and choices above the table and the figures; each writes one entry of the state.
import { fill, h } from "./dom.js";
import { count } from "./format.js";
import * as m from "./model.js";
import { list } from "./state.js";

export function createControls({ board, container, change, reset }) {
  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: `${count(board.rows.length)} by name, library, training data`,
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => change({ q: search.value }),
  });
  const families = choice("family", "Columns", board.families.map(({ id, label }) => [id, label]));
  const direction = choice("direction", "You want", [
    ["invariance", "little trace"],
    ["forensics", "much trace"],
  ]);
  const data = h("select", { id: "data", onchange: () => change({ data: data.value }) });
  const checks = [
    checkboxes("group", "Trained with", board.groups.map(({ id, label }) => [id, label])),
    checkboxes("origin", "Origin", [["published", "published (ICCV 2025)"], ["measured", "measured with camtrace"]]),
    checkboxes("library", "Library", values("library")),
    checkboxes("training", "Training data", values("training")),
    checkboxes("size", "Parameters of the encoder", m.SIZES.filter(([id]) => board.rows.some((row) => m.sizeClass(row.parameters) === id))),
    checkboxes("parameter", "Processing parameter or attribute", board.parameters.map((name) => [name, name])),
  ].filter(({ choices }) => choices > 1);
  const switches = ["intervals", "facts", ...(board.mixed ? ["own"] : [])].map((name) => ({
    name,
    input: h("input", { type: "checkbox", id: `show-${name}`, onchange: (event) => change({ [name]: event.target.checked ? "1" : "" }) }),
  }));
  const badge = h("span", { class: "badge count" });

  fill(
    container,
    h("div", { class: "row" },
      h("div", { class: "field grow" }, h("label", { for: "search" }, "Search encoders"), search),
      direction.field,
      families.field,
      h("div", { class: "field" }, h("label", { for: "data" }, "Data set"), data),
    ),
    h("details", { class: "more" },
      h("summary", {}, "More filters and columns ", badge),
      h("div", { class: "filters" },
        checks.map(({ element }) => element),
        h("fieldset", {}, h("legend", {}, "Show"),
          h("label", {}, switches[0].input, " 95 % intervals in the cells"),
          h("label", {}, switches[1].input, " facts about the encoder"),
          board.mixed ? h("label", {}, switches[2].input, " measured rows first") : null,
        ),
      ),
      h("button", { type: "button", onclick: reset }, "Clear every filter"),
    ),
  );

  function values(name) {
    return [...new Set(board.rows.map((row) => row[name]).filter(Boolean))]
      .sort((a, b) => a.localeCompare(b, "en"))
      .map((value) => [value, value]);
  }

  function choice(name, label, choices) {
    const element = h("select", { id: name, onchange: () => change({ [name]: element.value }) }, choices.map(([value, text]) => h("option", { value }, text)));
    return { field: h("div", { class: "field" }, h("label", { for: name }, label), element), set: (value) => (element.value = value) };
  }

  function checkboxes(name, legend, choices) {
    const inputs = choices.map(([value, label]) => {
      const input = h("input", { type: "checkbox", value, onchange: collect });
      return { input, label: h("label", {}, input, " ", label) };
    });
    function collect() {
      change({ [name]: inputs.filter(({ input }) => input.checked).map(({ input }) => input.value).join("|") });
    }
    return {
      name,
      choices: choices.length,
      element: h("fieldset", { class: "checks" }, h("legend", {}, legend), h("div", {}, inputs.map(({ label }) => label))),
      set: (chosen) => inputs.forEach(({ input }) => (input.checked = chosen.includes(input.value))),
    };
  }

  /** Show the state in the controls. */
  return function update(state) {
    if (search.value !== state.q) search.value = state.q;
    families.set(state.family);
    direction.set(state.direction);
    // Figures have a choice of their own for each family; here the data set leaves the rows that have it.
    const offered = state.view === "figures" ? board.data : m.dataOf(board, state.family);
    const choices = offered.map(({ id, label }) => h("option", { value: id }, label));
    if (state.family !== "knn" || state.view === "figures") choices.unshift(h("option", { value: "" }, "all"));
    fill(data, choices);
    data.value = state.view === "figures" ? state.data : m.chosenData(board, state);
    let active = 0;
    for (const check of checks) {
      const chosen = list(state[check.name]);
      check.set(chosen);
      active += chosen.length > 0;
    }
    badge.textContent = active ? `${active} on` : "";
    badge.hidden = !active;
    for (const { name, input } of switches) input.checked = state[name] === "1";
  };
}
