// Choosing a node or an edge, by click and by key. One part is in the tab order; arrows walk along edges from there.

function partOf(view, target) {
  const pick = target.closest?.("[data-pick]")?.getAttribute("data-pick");
  return pick ? (pick[0] === "n" ? view.nodes : view.edges)[Number(pick.slice(1))] : null;
}

function choose(view, part, at = null) {
  if (view.chosen) put(view.chosen.group, "aria-pressed", null);
  for (const one of view.chosen ? [view.chosen] : []) markChosen(one, false);
  const again = view.chosen === part && at === null;
  view.chosen = again ? null : part;
  if (!view.chosen) return closeLens(view);
  put(part.group, "aria-pressed", "true");
  markChosen(part, true);
  rove(view, part);
  openLens(view, part, at);
}

function markChosen(part, on) {
  flag(part.group, "dgv-chosen", on);
  if (part.line) flag(part.line, "dgv-chosen", on);
}

// Makes a part the one that Tab comes to.
function rove(view, part) {
  if (view.roving === part) return;
  if (view.roving) put(view.roving.group, "tabindex", -1);
  view.roving = part;
  if (part) put(part.group, "tabindex", 0);
}

function makeSelect(view) {
  const { dom } = view;
  dom.svg.addEventListener("click", (event) => {
    const part = partOf(view, event.target);
    if (part) choose(view, part);
  });
  dom.svg.addEventListener("focusin", (event) => {
    const part = partOf(view, event.target);
    if (part) rove(view, part);
  });
  dom.root.addEventListener("keydown", (event) => pressed(view, event));
}

function pressed(view, event) {
  if (event.key === "Escape" && view.chosen) {
    const { group } = view.chosen;
    choose(view, null);
    group.focus({ preventScroll: true });
  } else {
    const part = partOf(view, event.target);
    const key = event.key === "F10" && event.shiftKey ? "ContextMenu" : event.key;
    if (!part || event.ctrlKey || event.metaKey || event.altKey || !pressedOn(view, part, key)) return;
  }
  event.preventDefault();
  event.stopPropagation();
}

// A key on a part of the picture; whether it meant something.
function pressedOn(view, part, key) {
  if (key === "Enter" || key === " ") choose(view, part);
  else if (key === "ContextMenu" && view.send) openPartMenu(view, part);
  else if (key === "+" || key === "=") zoomAt(view, 1.25);
  else if (key === "-") zoomAt(view, 1 / 1.25);
  else if (key === "0") fitCamera(view);
  else if (key === "Home") step(view, view.nodes[0]);
  else if (key.startsWith("Arrow")) step(view, beside(view, part, key));
  else return false;
  return true;
}

function step(view, part) {
  if (!part) return;
  rove(view, part);
  reveal(view, part);
  part.group.focus({ preventScroll: true });
  redraw(view);
}

// Along the flow: a node's edges, an edge's node; across it: the nearest of the same kind to that side.
function beside(view, part, key) {
  const [onward, back] = view.scene.horizontal ? ["ArrowRight", "ArrowLeft"] : ["ArrowDown", "ArrowUp"];
  const { name, source, target } = part.def;
  if (key === onward) return part.kind === "edge" ? view.byName.get(target) : view.edges.find((edge) => edge.def.source === name);
  if (key === back) return part.kind === "edge" ? view.byName.get(source) : view.edges.find((edge) => edge.def.target === name);
  return nearest(view, part, key === "ArrowRight" || key === "ArrowDown" ? 1 : -1);
}

function middle(part) {
  const box = part.def.plate ?? (part.kind === "node" ? part.def : null);
  if (box) return [box.x + box.w / 2, box.y + box.h / 2];
  return part.def.head ?? [0, 0];
}

function nearest(view, part, way) {
  const across = view.scene.horizontal ? 1 : 0;
  const here = middle(part);
  let found = null;
  let best = Infinity;
  for (const other of part.kind === "node" ? view.nodes : view.edges) {
    const there = middle(other);
    const far = (there[across] - here[across]) * way;
    if (other === part || far < 1) continue;
    const distance = far + 3 * Math.abs(there[1 - across] - here[1 - across]);
    if (distance < best) [best, found] = [distance, other];
  }
  return found;
}
