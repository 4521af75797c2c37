// The palette: processors that this process knows and the run does not have. Dragged onto an edge one is inserted there, onto
// the page it becomes a new branch; its menu, by a click or Enter, does the same.

function makeTools(view) {
  const undo = button("Undo", "Take the last change of this run back", () => undoChange(view));
  const add = button("Add …", "Processors that could be added to this run", () => togglePalette(view), { "aria-expanded": "false" });
  const group = html("span", { class: "dgv-group", role: "group", "aria-label": "Change", hidden: true }, undo, add);
  Object.assign(view.dom, { tools: group, undo, add });
  return group;
}

function makePalette(view) {
  const words = html("p", { class: "dgv-caption" });
  const chips = html("div", { class: "dgv-chips", role: "toolbar", "aria-label": "Processors to add" });
  const chip = html("div", { class: "dgv-chip dgv-chip-moving", "aria-hidden": "true", hidden: true, popover: "manual" });
  const panel = html("section", { class: "dgv-palette", "aria-label": "Palette", hidden: true, "data-lm-suppress-shortcuts": "true" }, chips, words, chip);
  panel.addEventListener("keydown", (event) => paletteKey(view, event));
  view.palette = { panel, words, chips, chip };
  return panel;
}

function drawControls(view) {
  const { tools, undo, add } = view.dom;
  const on = changes(view);
  put(tools, "hidden", !on);
  put(view.dom.svg, "aria-label", `The flow: arrow keys walk along it, Enter opens the lens${steers(view) ? ", the menu key what can be done" : ""}`);
  put(undo, "hidden", !view.controls.has("undo"));
  put(undo, "disabled", !(Number(view.live?.edits) > 0));
  put(add, "hidden", !view.controls.has("known"));
  if (!on && !view.palette.panel.hidden) closePalette(view);
  if (!on && view.change.asks) closeChange(view);
}

function closePalette(view) {
  put(view.palette.panel, "hidden", true);
  put(view.dom.add, "aria-expanded", "false");
}

function togglePalette(view) {
  const { panel } = view.palette;
  if (!panel.hidden) return closePalette(view);
  put(panel, "hidden", false);
  put(view.dom.add, "aria-expanded", "true");
  fillPalette(view);
}

function fillPalette(view) {
  const { chips, words, panel } = view.palette;
  if (panel.hidden) return;
  if (!chips.childElementCount) say(words, "Looking …");
  known(view).then(
    (found) => {
      const made = found.map((one, i) => makeChip(view, one, i === 0));
      chips.replaceChildren(...made);
      say(words, found.length ? "Drag one onto an edge to put it in between, behind a node or beside all for a new branch; or press it for its menu." : "Nothing is known here that the run does not have: define a processor, and open this again.");
      if (document.activeElement === view.dom.add) made[0]?.focus({ preventScroll: true });
    },
    (error) => say(words, clean(error.message, 500)),
  );
}

function makeChip(view, one, first) {
  const name = clean(one.name, 60);
  const chip = html("button", { type: "button", class: "dgv-chip", tabindex: first ? 0 : -1, title: clean(one.doc || one.name, 300), "aria-haspopup": "menu" },
    html("bdi", { class: "dgv-b" }, name), html("bdi", { class: "dgv-caption" }, clean(shapeOf(one), 80)));
  let dragged = false;
  chip.addEventListener("click", () => { if (!dragged) openChip(view, one, chip); dragged = false; });
  chip.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.button !== 0) return;
    drag(view, event, chip, {
      aims: chipAims(view, one),
      follow: (now, aimed) => { dragged ||= Boolean(now); carry(view, one, now, aimed); },
      drop: (found, at, part) => dropChip(view, one, found, at, part),
      elsewhere: (at) => connectChip(view, one, at, chip),
    });
    chip.focus({ preventScroll: true });
  });
  return chip;
}

// What hangs at the pointer, with what a drop would do here.
function carry(view, one, now, aimed) {
  const { chip } = view.palette;
  const name = clean(one.name, 60);
  put(chip, "hidden", !now);
  raise(chip, Boolean(now));
  if (!now) return;
  const inside = view.dom.stage.contains(view.dom.root.getRootNode().elementFromPoint(now.clientX, now.clientY));
  const place = aimed?.kind === "node" ? `behind ${aimed.def.label}` : aimed ? `${isPassage(one) ? "into" : "reads"} ${aimed.def.stream}` : inside ? "as a new branch" : "";
  say(chip, `${name} ${place}`);
  const origin = chip.showPopover ? { left: 0, top: 0 } : view.dom.root.getBoundingClientRect();
  chip.style.transform = `translate(${Math.round(now.clientX - origin.left + 12)}px,${Math.round(now.clientY - origin.top + 14)}px)`;
}

function openChip(view, one, chip) {
  const missing = missingOf(view, one);
  const box = chip.getBoundingClientRect();
  const off = missing.length > 1 ? `the run has no stream ${clean(missing[0], 60)}` : "";
  const items = missing.length === 1
    ? [{ label: "Connect …", hint: `${clean(missing[0], 60)} from`, more: readItems(view, one, missing[0]) }]
    : [{ label: "Connect", hint: "a new branch", off, act: () => propose(view, { edit: "connect", by: one.name }) }];
  if (isPassage(one)) items.push({ label: "Insert into …", more: view.edges.map((edge) => ({
    label: edge.def.stream, hint: `to ${nameOf(view, edge.def.target)}`, act: () => propose(view, { edit: "insert", by: one.name, edge: edge.def.name }),
  })) });
  openMenu(view, clean(one.name, 60), items, [box.left, box.bottom + 2], chip);
}

// Every stream of the run once, by an edge that carries it.
function streamsOf(view) {
  return [...new Map(view.edges.map((edge) => [streamOf(edge), edge])).values()];
}

// The inputs of a processor for which the run has no stream of that name.
function missingOf(view, one) {
  const streams = new Set(view.edges.map(streamOf));
  return one.inputs.filter((name) => !streams.has(name));
}

// A new branch: `port` reads the stream of an edge, every other input the stream of its name.
function connectTo(one, port, edge) {
  return { edit: "connect", by: one.name, reads: port === streamOf(edge) ? {} : { [port]: streamOf(edge) } };
}

function readItems(view, one, port, edges = streamsOf(view)) {
  return edges.map((edge) => ({ label: edge.def.stream, hint: `from ${nameOf(view, edge.def.source)}`, act: () => propose(view, connectTo(one, port, edge)) }));
}

// What reads one stream goes into an edge, or behind a node; everything else beside, as a branch of its own.
function chipAims(view, one) {
  if (one.inputs.length !== 1) return new Map();
  const aims = new Map(view.edges.map((edge) => [edge, [edge]]));
  for (const edge of streamsOf(view)) {
    const writer = view.byName.get(edge.def.source);
    if (writer) aims.set(writer, [...(aims.get(writer) ?? []), edge]);
  }
  return aims;
}

function dropChip(view, one, found, at, part) {
  if (part.kind === "edge" && isPassage(one)) return propose(view, { edit: "insert", by: one.name, edge: part.def.name });
  if (found.length === 1) return propose(view, connectTo(one, one.inputs[0], found[0]));
  openMenu(view, "Which stream?", readItems(view, one, one.inputs[0], found), at, view.dom.add);
}

function connectChip(view, one, at, chip) {
  const missing = missingOf(view, one);
  if (missing.length !== 1) return propose(view, { edit: "connect", by: one.name });
  openMenu(view, `${clean(missing[0], 60)} is read from`, readItems(view, one, missing[0]), at, chip);
}

// One chip is in the tab order; arrows walk along them, Escape closes.
function paletteKey(view, event) {
  const chips = [...view.palette.chips.children];
  const at = chips.indexOf(document.activeElement);
  const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  event.stopPropagation();
  if (event.key === "Escape") {
    closePalette(view);
    focusBack(view.dom.add);
  } else if (way && at >= 0) {
    const next = chips[(at + way + chips.length) % chips.length];
    for (const chip of chips) chip.tabIndex = chip === next ? 0 : -1;
    next.focus({ preventScroll: true });
  } else return;
  event.preventDefault();
}
