// Another graph of the same run: what stays glides to its new place, and keeps what was recorded of it.

const GLIDE = { duration: 250, easing: "ease-in-out" };

function changeScene(view, scene) {
  const before = view.scene;
  const places = placesOf(view);
  const camera = { ...view.camera };
  const [chosen, roving, focused] = [view.chosen, view.roving, document.activeElement === view.roving?.group];
  const stays = before.nodes.some(({ name }) => scene.nodes.some((node) => node.name === name));
  choose(view, null);
  closeMenu(view);
  view.letGo?.();
  view.scene = scene;
  view.mostTicks = mostTicks(scene);
  const ticks = stays ? carried(view.ticks, before, scene) : [];
  const past = view.past ? view.past.elapsed : null;
  Object.assign(view, { ticks, live: ticks[ticks.length - 1] ?? null, past: null, shown: null });
  if (past !== null && ticks.length) view.past = tickAt(view, past);
  makePicture(view);
  makeTable(view);
  view.detail = -1;
  if (!camera.own || !stays) Object.assign(view.camera, { own: false, high: stays ? view.camera.high : null });
  if (view.camera.own) applyCamera(view);
  else fitCamera(view);
  if (stays) comeBack(view, chosen, roving, focused);
  redrawNow(view);
  if (stays) glide(view, places, camera);
  if (view.change?.asks && allEdits(view.change).length) plan(view);
  fillPalette(view);
}

function placesOf(view) {
  const places = new Map();
  for (const { def } of view.nodes) places.set(`n${def.name}`, [def.x, def.y]);
  for (const { def } of view.edges) places.set(`e${def.name}`, def.plate ? [def.plate.x, def.plate.y] : null);
  return places;
}

function comeBack(view, chosen, roving, focused) {
  const again = (part) => part && (part.kind === "node" ? view.byName.get(part.def.name) : view.edges.find((edge) => edge.def.name === part.def.name));
  const there = again(roving);
  if (there) rove(view, there);
  if (focused) focusBack(view.roving?.group);
  const open = again(chosen);
  if (open) choose(view, open);
}

// The ticks of one scene as ticks of another: rows by name; what is new is as before anything happened.
function carried(ticks, before, after) {
  const from = (olds, news) => news.map(({ name }) => olds.findIndex((old) => old.name === name));
  const [nodes, edges] = [from(before.nodes, after.nodes), from(before.edges, after.edges)];
  const blankNode = blankRow(after.fields.node, { status: "waiting", workers: 1, concurrency: 1, version: 1, resumable: true, paused: false, waits_for: "", error: "", cpu: null });
  const blankEdges = after.edges.map(({ capacity }) => blankRow(after.fields.edge, { capacity, seconds_to_full: null, seconds_to_drained: null, waiting: "", ended: false }));
  return ticks.map((tick) => ({
    ...tick,
    n: nodes.map((at) => (at < 0 ? blankNode : tick.n[at])),
    e: edges.map((at, i) => (at < 0 ? blankEdges[i] : tick.e[at])),
  }));
}

const blankRow = (fields, known) => fields.map((field) => (field in known ? known[field] : 0));

function glide(view, places, camera) {
  if (view.reduced.matches || !view.awake) return;
  const { x, y, k } = view.camera;
  slide(view.dom.world, `translate(${camera.x}px,${camera.y}px) scale(${camera.k})`, `translate(${x}px,${y}px) scale(${k})`);
  for (const { def, group, ring } of view.nodes) move(group, ring, places.get(`n${def.name}`), def);
  for (const { def, line, group, ring } of view.edges) {
    line.animate([{ opacity: 0 }, { opacity: 1 }], GLIDE);
    if (def.plate) move(group, ring, places.get(`e${def.name}`), def.plate);
  }
  function move(group, ring, from, to) {
    if (from) return slide(group, `translate(${from[0]}px,${from[1]}px)`, `translate(${to.x}px,${to.y}px)`);
    group.animate([{ opacity: 0 }, { opacity: 1 }], GLIDE);
    ring?.animate([{ opacity: 1 }, { opacity: 1, offset: 0.6 }, { opacity: 0 }], { duration: 2500 });
  }
}

function slide(element, from, to) {
  if (from !== to) element.animate([{ transform: from }, { transform: to }], GLIDE);
}
