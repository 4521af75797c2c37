// Where a value came from and what became of it: opened under its row, each part a link to the edge that has it.

const MOST_PARTS = 20;
const BECAME = {
  "dead letter": ["became", " a dead letter of "],
  "in hand": ["is in hand", " at "],
  waiting: ["waits", " for "],
  "not read": ["was not read", " by "],
};

// Makes the numbers of the rows buttons that open their story; the one that is open stays so.
function traceRows(view, lens, table, positions) {
  lens.rows = new Map();
  flag(table, "dgv-traceable", true);
  [...table.tBodies[0].rows].forEach((row, i) => {
    const position = positions[i];
    if (!Number.isInteger(position)) return;
    const opener = button(String(position), "Where it came from and what became of it", () => toggleTrace(view, lens, position), {
      class: "dgv-trace-opener", "aria-expanded": "false", "aria-label": `Value ${position}: where it came from and what became of it`, "data-key": `value ${position}`,
    });
    row.cells[0].replaceChildren(opener);
    row.addEventListener("click", (event) => {
      if (!event.target.closest("button") && !String(window.getSelection())) toggleTrace(view, lens, position);
    });
    lens.rows.set(position, { row, opener, story: null });
  });
  if (lens.trace === null) return;
  const wanted = lens.trace;
  lens.trace = null;
  openTrace(view, lens, wanted);
  const { row, opener } = lens.rows.get(wanted) ?? {};
  if (!row) return;
  row.scrollIntoView({ block: "center" });
  opener.focus({ preventScroll: true });
}

function toggleTrace(view, lens, position) {
  const open = lens.trace === position;
  closeTrace(lens);
  if (!open) openTrace(view, lens, position);
  else if (lens.at === null) lens.seen = null;
}

function closeTrace(lens) {
  const entry = lens.rows?.get(lens.trace);
  lens.trace = null;
  if (!entry) return;
  put(entry.opener, "aria-expanded", "false");
  say(lens.held, "");
  flag(entry.row, "dgv-traced", false);
  entry.story?.remove();
  entry.story = null;
}

// While a story is open its table stands still: what is asked again is the story.
function openTrace(view, lens, position) {
  const entry = lens.rows.get(position);
  if (!entry) return;
  lens.trace = position;
  put(entry.opener, "aria-expanded", "true");
  flag(entry.row, "dgv-traced", true);
  const cell = html("td", { colspan: entry.row.cells.length }, html("div", { class: "dgv-story", "aria-live": "polite" }, "Looking …"));
  entry.story = html("tr", { class: "dgv-story-row" }, cell);
  entry.row.after(entry.story);
  if (lens.at === null && view.live && !isOver(view.live)) say(lens.held, " They stand still while the story of one is open.");
  askTrace(view, lens, position);
}

// Says it only where it is another than before, so that a link keeps the focus.
function askTrace(view, lens, position) {
  const tell = (key, ...lines) => {
    const box = view.lens === lens && lens.trace === position && lens.rows.get(position)?.story?.querySelector(".dgv-story");
    if (!box || box.dgvKey === key) return;
    box.dgvKey = key;
    keepScroll(box, ...lines);
  };
  return ask(view, { kind: "lens", edge: lens.part.def.name, value: position }).then(
    (data) => tell(JSON.stringify(data), cameFrom(view, lens, data), ...becameOf(view, data)),
    (error) => tell(error.message, html("p", {}, clean(error.message, 500))),
  );
}

function retrace(view, lens) {
  askTrace(view, lens, lens.trace).finally(() => { lens.asking = false; });
}

function failedLook(view, lens, error) {
  if (view.lens !== lens) return;
  lens.answer.dgText = undefined;
  const caption = html("p", { class: "dgv-caption" }, clean(error.message, 500));
  if (lens.at !== null) caption.append(" ", button("The last values", "Show the last values", () => latest(view, lens), { class: "dgv-link" }));
  lens.answer.replaceChildren(caption);
}

function latest(view, lens) {
  closeTrace(lens);
  Object.assign(lens, { at: null, table: null, seen: null, asked: -Infinity });
  look(view);
}

const listOf = (parts) => (Array.isArray(parts) ? parts.slice(0, MOST_PARTS) : []);

function cameFrom(view, lens, data) {
  const came = listOf(data.came);
  const line = html("p", {}, html("b", {}, "came from "));
  if (came.length) came.forEach((part, i) => line.append(i ? ", and " : "", ...linkTo(view, part)));
  else line.append(view.byName.get(lens.part.def.source)?.def.kind === "processor" ? "nothing that was read" : "outside: it is an input of the run");
  return line;
}

function becameOf(view, data) {
  const became = listOf(data.became);
  if (!became.length) return [html("p", {}, html("b", {}, "became "), "nothing: no processor reads it")];
  return became.map((one) => {
    const made = listOf(one.made);
    const at = html("bdi", {}, clean(one.node, 80));
    const line = html("p", {});
    const [verb, rest] = BECAME[one.status] ?? (view.edges.some((edge) => edge.def.source === one.node) ? ["came to nothing", " at "] : ["was taken", " by "]);
    if (!made.length || BECAME[one.status]) line.append(html("b", {}, verb), rest, at);
    if (!made.length) return line;
    line.append(line.childNodes.length ? "; so far it " : "", html("b", {}, "became "));
    made.forEach((part, i) => line.append(i ? ", and " : "", ...linkTo(view, part)));
    return line;
  });
}

// A part of a stream: a link to the edge that shows it, then its first values.
function linkTo(view, part) {
  const many = part.stop - part.start > 1;
  const words = `${clean(part.stream, 80)} ${number(part.start)}${many ? ` to ${number(part.stop - 1)}` : ""}`;
  const edge = view.edges.find((one) => one.def.name === part.edge);
  const link = edge
    ? button(html("bdi", {}, words), `Show ${words}`, () => choose(view, edge, Number(part.start)), { class: "dgv-link", "data-key": `link ${words}` })
    : html("bdi", {}, words);
  const facts = [many && !part.exact ? "among these" : "", part.version ? `version ${part.version}` : ""].filter(Boolean).join(", ");
  const values = Array.isArray(part.values) ? part.values.map((value) => clean(value, 120)) : null;
  const shown = values === null ? "not kept any more" : values.length ? values.join(", ") + (part.stop - part.start > values.length ? ", …" : "") : "cannot be read here";
  return [link, ": ", html("bdi", { class: "dgv-value" }, shown), facts ? html("span", { class: "dgv-caption" }, ` (${facts})`) : ""];
}
