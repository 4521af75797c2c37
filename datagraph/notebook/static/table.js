// The same numbers as two plain tables, for those who read rather than look.

const NODE_COLUMNS = ["Processor", "Status", "Busy", "Starved", "Blocked", "Read", "Written", "Rate", "Workers", "Concurrency", "Errors", "Dead letters", "Version"];
const NODE_WORDS = 2; // the columns of words; those after them are numbers
const EDGE_WORDS = 3;
const EDGE_COLUMNS = ["Stream", "From", "To", "Written", "Read", "Waiting", "Room for", "Fill", "In", "Out", "Soon"];

function makeTable(view) {
  const box = (view.dom.table ??= html("div", { class: "dgv-tables", hidden: true }));
  view.rows = [
    ...tableOf(view, "Nodes", NODE_COLUMNS, NODE_WORDS, view.nodes, nodeCells),
    ...tableOf(view, "Edges", EDGE_COLUMNS, EDGE_WORDS, view.edges, edgeCells),
  ];
  box.replaceChildren(...view.rows.filter((row) => row.table).map((row) => row.table));
  return box;
}

function tableOf(view, caption, columns, words, parts, cells) {
  const table = html("table", {}, html("caption", {}, caption));
  table.append(html("thead", {}, html("tr", {}, ...columns.map((column, i) => html("th", { scope: "col", class: i < words ? null : "dgv-right" }, column)))));
  const body = html("tbody", {});
  table.append(body);
  return parts.map((part, i) => {
    const opener = button(part.kind === "node" ? part.def.label : part.def.stream, "Open the lens", () => choose(view, part));
    const rest = columns.slice(1).map((_, j) => html("td", j + 1 < words ? { dir: "auto" } : { class: "dgv-right" }));
    const line = html("tr", {}, html("th", { scope: "row" }, opener), ...rest);
    body.append(line);
    return { part, cells, line, rest, table: i === 0 ? table : null };
  });
}

function drawTable(view, tick) {
  if (view.dom.table.hidden) return;
  for (const { part, cells, line, rest } of view.rows) {
    flag(line, "dgv-chosen", view.chosen === part);
    flag(line, "dgv-culprit", part.kind === "node" && tick?.bottleneck === part.def.name);
    const row = tick ? (part.kind === "node" ? tick.n : tick.e)[part.index] : null;
    cells(view, part, row).forEach((text, i) => say(rest[i], text));
  }
}

function nodeCells(view, part, row) {
  if (!row) return ["not started"];
  const N = view.N;
  const counts = [number(row[N.read]), number(row[N.written]), perSecond(row[N.rate])];
  if (part.def.kind !== "processor") return [clean(row[N.status], 40), "", "", "", ...counts];
  return [
    row[N.paused] ? "paused" : clean(row[N.status], 40), percent(row[N.busy]), percent(row[N.starved]), percent(row[N.blocked]), ...counts,
    String(row[N.workers]), String(row[N.concurrency]), number(row[N.errors]), number(row[N.dead_letters]), `v${row[N.version]}`,
  ];
}

function edgeCells(view, part, row) {
  const E = view.E;
  const ends = [nameOf(view, part.def.source), nameOf(view, part.def.target)];
  if (!row) return [...ends, "", "", "", part.def.capacity === null ? "no limit" : number(part.def.capacity)];
  const bounded = row[E.capacity] !== null;
  return [
    ...ends, number(row[E.written]), number(row[E.read]), number(row[E.lag]), bounded ? number(row[E.capacity]) : "no limit",
    bounded ? percent(row[E.fill]) : "", perSecond(row[E.rate_in]), perSecond(row[E.rate_out]), soonOf(view, row),
  ];
}

function toggleTable(view) {
  const { table, stage, tableButton } = view.dom;
  const on = table.hidden;
  put(table, "hidden", !on);
  put(stage, "hidden", on);
  put(tableButton, "aria-pressed", String(on));
  if (on) table.style.maxHeight = `${Math.max(240, parseFloat(stage.style.height) || 0)}px`;
  redrawNow(view);
}
