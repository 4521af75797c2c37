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
      say(words, found.length ? "Drag one onto an edge, or beside it for a new branch; or press it for its menu." : "Nothing is known here that the run does not have: define a processor, and open this again.");
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
    const aims = new Map(isPassage(one) ? view.edges.map((edge) => [edge, [edge]]) : []);
    drag(view, event, chip, {
      aims,
      follow: (now, aimed) => { dragged ||= Boolean(now); carry(view, name, now, aimed); },
      drop: ([edge]) => propose(view, { edit: "insert", by: one.name, edge: edge.def.name }),
      elsewhere: () => propose(view, { edit: "connect", by: one.name }),
    });
    chip.focus({ preventScroll: true });
  });
  return chip;
}

// What hangs at the pointer, with what a drop would do here.
function carry(view, name, now, aimed) {
  const { chip } = view.palette;
  put(chip, "hidden", !now);
  if (!now) return chip.matches(":popover-open") ? chip.hidePopover() : undefined;
  if (chip.showPopover && !chip.matches(":popover-open")) chip.showPopover();
  const inside = view.dom.stage.contains(view.dom.root.getRootNode().elementFromPoint(now.clientX, now.clientY));
  say(chip, aimed ? `${name} into ${aimed.def.stream}` : inside ? `${name} as a new branch` : name);
  const origin = chip.showPopover ? { left: 0, top: 0 } : view.dom.root.getBoundingClientRect();
  chip.style.transform = `translate(${Math.round(now.clientX - origin.left + 12)}px,${Math.round(now.clientY - origin.top + 14)}px)`;
}

function openChip(view, one, chip) {
  const streams = new Set(view.edges.map(streamOf));
  const missing = one.inputs.find((name) => !streams.has(name));
  const box = chip.getBoundingClientRect();
  const items = [{ label: "Connect", hint: "a new branch", off: missing === undefined ? "" : `the run has no stream ${clean(missing, 60)}`, act: () => propose(view, { edit: "connect", by: one.name }) }];
  if (isPassage(one)) items.push({ label: "Insert into …", more: view.edges.map((edge) => ({
    label: edge.def.stream, hint: `to ${nameOf(view, edge.def.target)}`, act: () => propose(view, { edit: "insert", by: one.name, edge: edge.def.name }),
  })) });
  openMenu(view, clean(one.name, 60), items, [box.left, box.bottom + 2], chip);
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
