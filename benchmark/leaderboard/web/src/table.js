// The board itself: a native table with sticky heads, sort buttons, chance and ceiling rows.
import { fill, h } from "./dom.js";
import { chance, count, interval, isShare, millions, percent, rankText, shown, unit } from "./format.js";
import * as m from "./model.js";
import { fullLabel } from "./panel.js";

const FACTS = [
  ["group", "Trained with", (row) => row.group_label],
  ["library", "Library", (row) => row.library],
  ["training", "Training data", (row) => row.training],
  ["input", "Input", (row) => (row.input ? `${row.input} px` : "")],
  ["parameters", "Size", (row) => millions(row.parameters)],
];

/** A table that keeps its rows between renders; `render` rebuilds, `update` only filters and sorts. */
export function createTable({ board, container, onSort, linkTo }) {
  let columns = [];
  let entries = new Map();
  let body = null;
  let heads = [];
  let signature = "";
  let rankHead = null;
  let order = null;
  const marks = h("p", { class: "marks" });
  const { mixed } = board;

  function render(state) {
    const next = JSON.stringify([m.visibleColumns(board, state).map(({ id }) => id), state.facts, state.direction]);
    if (next !== signature) {
      signature = next;
      build(state);
    }
    update(state);
  }

  function build(state) {
    columns = m.visibleColumns(board, state);
    const overview = state.family === m.OVERVIEW;
    heads = [];
    body = h("tbody");
    entries = new Map(board.rows.map((row) => [row.key, line(row, state)]));
    const family = board.families.find(({ id }) => id === state.family);
    order = h("span", { class: "order" });
    const table = h(
      "table",
      { class: "board" },
      h("caption", {}, overview ? `Trace: ${fullLabel(board, columns[0])}. Accuracy: ${fullLabel(board, columns[1])}.` : `${family.label}. ${family.explain}`, order),
      head(state),
      reference(state),
      body,
    );
    fill(container, table, marks);
  }

  function head(state) {
    const facts = shownFacts(state);
    const groups = [];
    for (const column of columns) {
      const label = groupLabel(column);
      const last = groups.at(-1);
      if (last?.label === label) last.span += 1;
      else groups.push({ label, span: 1 });
    }
    rankHead = h("th", { scope: "col", class: "rank" });
    return h(
      "thead",
      {},
      state.family === m.OVERVIEW ? null : h(
        "tr",
        { class: "groups" },
        h("td", { class: "name" }),
        h("td", { class: "origin-column" }),
        h("td", {}),
        facts.map(([id]) => h("td", { class: `${id}-column` })),
        groups.map(({ label, span }) => h("th", { scope: "colgroup", colspan: span }, label)),
      ),
      h(
        "tr",
        { class: "heads" },
        sortHead("name", "Encoder", "name"),
        sortHead("origin", "Origin", "fact origin-column"),
        rankHead,
        facts.map(([id, label]) => sortHead(id, label, `fact ${id}-column`)),
        columns.map((column) => state.family === m.OVERVIEW
          ? sortHead(column.id, column.kind === "accuracy" ? "Accuracy" : "Trace", "score", column, better(column, state))
          : sortHead(column.id, column.label, "score", column)),
      ),
    );
  }

  function groupLabel(column) {
    const data = board.dataset.get(column.data).label;
    return column.group ? `${column.group}, ${data}` : data;
  }

  function sortHead(id, label, kind, column = null, hint = null) {
    const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
    const button = h("button", { type: "button", title: column?.explain ?? null, onclick: () => onSort(id) }, label, arrow);
    const cell = h("th", { scope: "col", class: kind }, button, hint ? h("small", {}, hint) : null);
    heads.push({ id, cell, column });
    return cell;
  }

  function reference(state) {
    const blank = [
      h("td", { class: "fact origin-column" }),
      h("td", { class: "rank" }),
      ...shownFacts(state).map(([id]) => h("td", { class: `fact ${id}-column` })),
    ];
    const line = (label, title, value) =>
      h(
        "tr",
        {},
        h("th", { scope: "row", class: "name", title }, label),
        blank.map((cell) => cell.cloneNode()),
        columns.map((column) => h("td", { class: "score" }, value(column))),
      );
    return h(
      "tbody",
      { class: "reference" },
      line("Chance", "what a guess scores", (column) =>
        isShare(column) ? chance(column) : shown(0, column),
      ),
      state.family === m.OVERVIEW ? null : line("Ceiling", "the highest possible score", (column) =>
        isShare(column) ? percent(column.ceiling) : "",
      ),
    );
  }

  function line(row, state) {
    const rankCell = h("td", { class: "rank" });
    const notes = row.notes.length ? h("span", { class: "badge note", title: row.notes.join(" ") }, row.status) : null;
    const element = h(
      "tr",
      { class: [mixed ? row.origin : "", row.group === "control" ? "control" : "", row.eraser ? "erased" : ""].filter(Boolean).join(" ") },
      h(
        "th",
        { scope: "row", class: "name" },
        row.of ? [h("span", { "aria-hidden": "true" }, "↳ "), h("a", { href: linkTo(row), title: row.name }, row.eraser)] : h("a", { href: linkTo(row) }, row.name),
        notes,
        // On a phone and in the overview the columns of origin and group give way to this line.
        h("span", { class: "inline-origin" }, dot(row), `${row.origin}, ${row.group_label}`),
      ),
      h("td", { class: "fact origin-column" }, h("span", { class: `badge ${row.origin}` }, row.origin)),
      rankCell,
      shownFacts(state).map(([id, , text]) =>
        h("td", { class: `fact ${id}-column` }, id === "group" ? [dot(row), text(row)] : text(row)),
      ),
      columns.map((column) => scoreCell(row.cells[column.index], column)),
    );
    return { row, element, rankCell };
  }

  function scoreCell(cell, column) {
    if (!cell) return h("td", { class: "score missing" }, h("span", { class: "visually-hidden" }, "not measured"));
    column.widest ??= m.widest(board, column);
    const range = interval(cell, column);
    const flags = cell.flags.map((flag) => board.flags[flag] ?? flag);
    return h(
      "td",
      {
        class: `score ${column.kind === "accuracy" ? "want" : "trace"}-shade shade-${m.shade(cell, column, column.widest)}`,
        title: describe(cell, column, range, flags),
      },
      shown(cell.value, column),
      flags.length ? h("span", { class: "flag" }, h("span", { "aria-hidden": "true" }, "†"), h("span", { class: "visually-hidden" }, ` (${flags.join("; ")})`)) : null,
      range ? h("small", {}, range) : null,
    );
  }

  function update(state) {
    const sorting = m.sorting(board, state, columns);
    for (const { id, cell } of heads) {
      const active = sorting.by ? id === sorting.by : id === sorting.column?.id;
      if (active) cell.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const column = sorting.column;
    fill(rankHead, "Rank", column ? h("small", {}, `by ${column.label}`) : null);
    rankHead.title = column
      ? `Rank by ${column.label}: ${direction(column, state)} is 1; an interval where several ranks are possible; ${sorting.accurate ? "among those accurate enough" : "computed over the whole board"}`
      : "";
    container.classList.toggle("with-intervals", state.intervals === "1");
    const ordered = m.sorted(board.rows, sorting);
    const visible = new Set(m.inView(board, state));
    const shownRows = ordered.filter((row) => visible.has(row));
    const tiers = shownRows.filter((row) => !row.of).map((row) => ({ row, tier: m.tier(row, sorting) }));
    const lines = new Set(tiers.filter(({ tier }, i) => i && tier > tiers[i - 1].tier).map(({ row }) => row));
    const firsts = [
      new Set(tiers.map(({ tier }) => tier > 1)).size > 1 ? "Measured encoders" : "",
      new Set(tiers.map(({ tier }) => tier % 2)).size > 1 ? `those with at least ${percent(m.enough(board, state))} % accuracy` : "",
    ].filter(Boolean).join(", then ");
    const ranks = m.ranks(board, sorting, state);
    order.textContent = firsts ? ` ${firsts[0].toUpperCase()}${firsts.slice(1)} come first; below the line are the others, in order${sorting.accurate ? ", without a rank where accuracy is lower" : ""}.` : "";
    for (const row of ordered) {
      const { element, rankCell } = entries.get(row.key);
      element.hidden = !visible.has(row);
      element.classList.toggle("below-first", lines.has(row));
      rankCell.textContent = rankText(ranks.get(row));
    }
    body.append(...ordered.map((row) => entries.get(row.key).element));
    explainMarks(shownRows);
  }

  /** Under the table, what the daggers and the badge "smoke test" of rows in view mean. */
  function explainMarks(rows) {
    const flags = new Set(rows.flatMap((row) => columns.flatMap((column) => row.cells[column.index]?.flags ?? [])));
    const smoke = rows.flatMap((row) => row.notes).find((note) => note.includes("smoke test"));
    fill(marks, flags.size ? `† ${[...flags].map((flag) => board.flags[flag] ?? flag).join("; ")}. ` : null, smoke ?? null);
    marks.hidden = !flags.size && !smoke;
  }

  return { render };
}

/** What the table shows for a state: used by the table's download and its row count. */
export function view(board, state) {
  const columns = m.visibleColumns(board, state);
  const sorting = m.sorting(board, state, columns);
  return { columns, sorting, rows: m.sorted(m.inView(board, state), sorting) };
}

/** "least trace", "highest accuracy", ...: what rank 1 means. */
export function direction(column, state) {
  if (column.kind === "accuracy") return "highest accuracy";
  const what = column.kind === "difference" || column.kind === "size" ? "effect" : "trace";
  return m.mostFirst(column, state) ? `most ${what}` : `least ${what}`;
}

/** What high and low mean, for the reader's purpose. */
function better(column, state) {
  if (column.kind === "accuracy") return "more is better";
  return m.mostFirst(column, state) ? "more is better for forensics" : "less is better for search";
}

export function dot(row) {
  return h("span", { class: `dot group-${row.group.toLowerCase()}`, "aria-hidden": "true" });
}

function describe(cell, column, range, flags) {
  const parts = [`${shown(cell.value, column)} ${unit(column)}`];
  if (range) parts.push(`95 % interval ${range}`);
  if (cell.n) parts.push(`n = ${count(cell.n)}`);
  return [...parts, ...flags].join("; ");
}

function shownFacts(state) {
  return state.facts === "1" ? FACTS : FACTS.slice(0, 1);
}
