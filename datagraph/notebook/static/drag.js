// Dragging: the end of an edge to another node, and a processor from the palette into the picture. Where it may be dropped
// is lit; Escape lets go of it. The menus do the same without a pointer.

const ENDS_AFTER = 700;
const MOST_ENDS = 40;

const portOf = (edge) => `${edge.def.target}.${edge.def.port}`;
const streamOf = (edge) => edge.def.name.slice(0, edge.def.name.length - portOf(edge).length - 2);

function startOf(edge) {
  const [x, y] = (edge.def.path.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
  return x === undefined ? middle(edge) : [x, y];
}

const endOf = (edge) => (edge.def.head ? edge.def.head.slice(0, 2) : middle(edge));

function curve(view, [x0, y0], [x1, y1]) {
  const bend = Math.max(24, Math.abs(view.scene.horizontal ? x1 - x0 : y1 - y0) / 2);
  return view.scene.horizontal ? `M${x0},${y0}C${x0 + bend},${y0} ${x1 - bend},${y1} ${x1},${y1}` : `M${x0},${y0}C${x0},${y0 + bend} ${x1},${y1 - bend} ${x1},${y1}`;
}

// The names of all nodes that come after a node (or, backwards, before it), and its own.
function reachable(view, name, backwards = false) {
  const next = new Map();
  for (const { def } of view.edges) {
    const [from, to] = backwards ? [def.target, def.source] : [def.source, def.target];
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const found = new Set([name]);
  for (const each of found) for (const other of next.get(each) ?? []) found.add(other);
  return found;
}

// The streams that the reader of an edge could read instead, each by an edge that carries it: none that comes after it.
function sourcesOf(view, edge) {
  if (view.byName.get(edge.def.target)?.def.kind !== "processor") return [];
  const after = reachable(view, edge.def.target);
  const found = new Map();
  for (const other of view.edges) {
    const stream = streamOf(other);
    if (stream !== streamOf(edge) && !after.has(other.def.source) && !found.has(stream)) found.set(stream, other);
  }
  return [...found.values()];
}

// The inputs that could read an edge's stream instead of what they read, each by the edge that ends there now.
function targetsOf(view, edge) {
  const before = reachable(view, edge.def.source, true);
  const works = (other) => view.byName.get(other.def.target)?.def.kind === "processor";
  return view.edges.filter((other) => works(other) && streamOf(other) !== streamOf(edge) && !before.has(other.def.target));
}

const moveSource = (edge, to) => ({ edit: "move", edge: edge.def.name, source: streamOf(to) });

// What ends at an output has no reader that would be left without it: there the other input just reads this stream.
function moveTarget(view, edge, to) {
  if (view.byName.get(edge.def.target)?.def.kind === "output") return moveSource(to, edge);
  return { edit: "move", edge: edge.def.name, target: portOf(to) };
}

// Handles at both ends of the edges that the pointer is near.
function showEnds(view, part) {
  clearTimeout(view.endsTimer);
  if (view.dragging) return;
  if (!part || !changes(view)) {
    view.endsTimer = setTimeout(() => { if (!view.dragging) view.dom.ends.replaceChildren(); }, part ? 0 : ENDS_AFTER);
    return;
  }
  const edges = part.kind === "node" ? edgesOf(view, part) : [part];
  view.dom.ends.replaceChildren(...edges.slice(0, MOST_ENDS).flatMap((edge) => [makeEnd(view, edge, true), makeEnd(view, edge, false)].filter(Boolean)));
}

function makeEnd(view, edge, isSource) {
  if (isSource && view.byName.get(edge.def.target)?.def.kind !== "processor") return null;
  const [x, y] = isSource ? startOf(edge) : endOf(edge);
  const size = 1 / Math.max(view.camera.k, 0.3);
  const end = svg("g", { class: `dgv-end dgv-end-${isSource ? "source" : "target"}`, transform: `translate(${x},${y}) scale(${size.toFixed(3)})`, "data-pick": `e${edge.index}` });
  svg("circle", { class: "dgv-end-hit", r: 11 }, end);
  svg("circle", { class: "dgv-end-dot", r: 5.5 }, end);
  say(svg("title", {}, end), isSource ? "Drag to the node that it should read" : "Drag to the node that should read it");
  end.addEventListener("click", (event) => event.stopPropagation());
  end.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const still = isSource ? endOf(edge) : startOf(edge);
    drag(view, event, end, {
      aims: aimsOf(view, isSource ? sourcesOf(view, edge) : targetsOf(view, edge), isSource),
      draw: (point) => (isSource ? curve(view, point, still) : curve(view, still, point)),
      from: edge,
      drop: (found, at) => dropEnd(view, edge, isSource, found, at),
    });
  });
  return end;
}

// Which parts of the picture mean which of the edges found: the nodes at that end, the edges of that stream or input.
function aimsOf(view, found, isSource) {
  const aims = new Map();
  const add = (part, edge) => { if (part) aims.set(part, [...(aims.get(part) ?? []), edge]); };
  for (const edge of found) {
    add(view.byName.get(isSource ? edge.def.source : edge.def.target), edge);
    for (const other of view.edges) if (isSource ? streamOf(other) === streamOf(edge) : other === edge) add(other, edge);
  }
  return aims;
}

function dropEnd(view, edge, isSource, found, at) {
  const edit = (to) => (isSource ? moveSource(edge, to) : moveTarget(view, edge, to));
  if (found.length === 1) return propose(view, edit(found[0]));
  const items = found.map((to) => (isSource ? streamItem(view, edge, to) : portItem(view, edge, to)));
  openMenu(view, isSource ? "Which stream?" : "Which input?", items, at, edge.group);
}

function worldPoint(view, event) {
  const box = view.dom.stage.getBoundingClientRect();
  const { x, y, k } = view.camera;
  return [(event.clientX - box.left - x) / k, (event.clientY - box.top - y) / k];
}

// One drag, from the press to the drop. `draw` makes the line for a point of the picture, `follow` moves something else
// along; `drop` gets what lay under the pointer, `elsewhere` a drop on the stage where nothing does.
function drag(view, event, handle, { aims, draw, follow, from, drop, elsewhere }) {
  event.stopPropagation();
  event.preventDefault();
  const origin = [event.clientX, event.clientY];
  const line = draw ? svg("path", { class: "dgv-ghost" }, view.dom.ends) : null;
  let aimed = null;
  let begun = false;
  handle.setPointerCapture(event.pointerId);
  const aim = (part) => {
    if (aimed === part) return;
    if (aimed) lit(aimed, "dgv-aimed", false);
    aimed = part;
    if (part) lit(part, "dgv-aimed", true);
  };
  const move = (now) => {
    if (!begun && Math.hypot(now.clientX - origin[0], now.clientY - origin[1]) < 4) return;
    if (!begun) beginDrag(view, aims, from);
    begun = true;
    const under = handle.getRootNode().elementFromPoint(now.clientX, now.clientY);
    const part = under ? partOf(view, under) : null;
    aim(aims.has(part) ? part : null);
    if (line) put(line, "d", draw(worldPoint(view, now)));
    follow?.(now, aimed);
  };
  const end = (now) => {
    for (const [name, listener] of listeners) handle.removeEventListener(name, listener);
    document.removeEventListener("keydown", escape, true);
    const found = aimed;
    view.letGo = null;
    aim(null);
    line?.remove();
    endDrag(view, aims, from);
    follow?.(null, null);
    if (!begun || now?.type !== "pointerup") return;
    const under = handle.getRootNode().elementFromPoint(now.clientX, now.clientY);
    const at = [now.clientX, now.clientY];
    if (found) drop(aims.get(found), at, found);
    else if (under && view.dom.stage.contains(under)) elsewhere?.(at);
  };
  const escape = (key) => {
    if (key.key !== "Escape") return;
    key.preventDefault();
    key.stopPropagation();
    end(null);
  };
  const listeners = [["pointermove", move], ["pointerup", end], ["pointercancel", end], ["lostpointercapture", end]];
  for (const [name, listener] of listeners) handle.addEventListener(name, listener);
  document.addEventListener("keydown", escape, true);
  view.letGo = () => end(null);
}

function beginDrag(view, aims, from) {
  view.dragging = true;
  hideHover(view);
  flag(view.dom.root, "dgv-aiming", true);
  if (from) lit(from, "dgv-moved", true);
  for (const part of aims.keys()) lit(part, "dgv-legal", true);
}

function endDrag(view, aims, from) {
  view.dragging = false;
  flag(view.dom.root, "dgv-aiming", false);
  if (from) lit(from, "dgv-moved", false);
  for (const part of aims.keys()) lit(part, "dgv-legal", false);
  showEnds(view, null);
}

function lit(part, name, on) {
  flag(part.group, name, on);
  if (part.line) flag(part.line, name, on);
}
