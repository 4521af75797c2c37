// The picture: made once for a scene, drawn in one animation frame for a tick.

function makePicture(view) {
  const { dom, scene } = view;
  dom.svg.replaceChildren();
  const defs = svg("defs", {}, dom.svg);
  const pattern = svg("pattern", { id: `${view.id}-blocked`, width: 6, height: 9, patternUnits: "userSpaceOnUse" }, defs);
  svg("rect", { class: "blocked", width: 6, height: 9 }, pattern);
  svg("path", { class: "stripe", d: "M-1,10.5L6.4,-1.2M-4,5.8L0.4,-1.2M2.6,15.2L9,5", "stroke-width": 1.5 }, pattern);
  dom.world = svg("g", { class: "dgv-world" }, dom.svg);
  for (const layer of ["lines", "plates", "nodes", "over", "ghosts", "ends"]) dom[layer] = svg("g", { class: `dgv-${layer}` }, dom.world);
  view.N = fieldIndex(scene.fields.node);
  view.E = fieldIndex(scene.fields.edge);
  [LEVELS.amber, LEVELS.red] = scene.levels ?? [LEVELS.amber, LEVELS.red];
  view.byName = new Map();
  view.edges = scene.edges.map((def, i) => makeEdge(view, def, i));
  view.nodes = scene.nodes.map((def, i) => makeNode(view, def, i));
  for (const node of view.nodes) view.byName.set(node.def.name, node);
  makeFlag(view);
  view.roving = null;
  rove(view, view.nodes[0] ?? null);
}

function fieldIndex(fields) {
  return Object.fromEntries(fields.map((field, i) => [field, i]));
}

// The culprit's name at its own size, for when the picture is so small that cards cannot be read.
function makeFlag(view) {
  const group = svg("g", { class: "dgv-flag", "aria-hidden": "true" }, view.dom.over);
  const scaled = svg("g", {}, group);
  const plate = svg("rect", { class: "full", y: -10, height: 20, rx: 5 }, scaled);
  const point = svg("path", { class: "full" }, scaled);
  const name = svg("text", { class: "n b m on", y: 4 }, scaled);
  view.dom.flag = { group, scaled, plate, point, name };
}

function drawFlag(view, tick) {
  const { group, scaled, plate, point, name } = view.dom.flag;
  const culprit = tick?.bottleneck ? view.byName.get(tick.bottleneck) : null;
  put(group, "display", culprit && view.detail > 2 ? null : "none");
  if (!culprit) return;
  const { x, y, w, h } = culprit.def;
  const { k } = view.camera;
  const text = fit(culprit.def.label, 160, 11, true);
  const below = y * k + view.camera.y < 36;
  put(group, "transform", `translate(${x + w / 2},${below ? y + h : y})`);
  put(scaled, "transform", `scale(${(1 / k).toFixed(3)}) translate(0,${below ? 21 : -21})`);
  put(point, "d", below ? "M-5,-9.5H5L0,-16Z" : "M-5,9.5H5L0,16Z");
  const width = Math.round(textWidth(text, 11, true) + 16);
  put(plate, "x", -width / 2);
  put(plate, "width", width);
  say(name, text);
}

// Asks for one drawing in the next frame; many calls make one. Where drawing is slow it is done less often, so that
// the page has time for its reader.
function redraw(view) {
  if (view.frame || view.closed) return;
  view.frame = requestAnimationFrame((now) => {
    view.frame = 0;
    if (!view.awake) return;
    const wait = view.cost < 12 ? 0 : view.drew + 6 * view.cost - now;
    if (wait > 20 && !view.hurry) view.frame = -setTimeout(() => { view.frame = 0; redraw(view); }, wait);
    else draw(view);
  });
}

function draw(view) {
  const began = performance.now();
  drawAll(view);
  view.drew = performance.now();
  view.cost += (view.drew - began - view.cost) * 0.2;
}

function drawAll(view) {
  const tick = (view.shown = view.past ?? view.live);
  for (const edge of view.edges) if (edge.seen) drawEdge(view, edge, tick);
  for (const node of view.nodes) if (node.seen) drawNode(view, node, tick);
  drawFlag(view, tick);
  drawHead(view, tick);
  drawControls(view);
  drawTime(view);
  const now = performance.now();
  if (now - view.slowly < 900 && !view.hurry) return;
  view.slowly = now;
  view.hurry = false;
  drawSlowly(view, tick);
}

// What is read rather than glanced at changes once a second: sentence, table, lens, labels for those who listen.
function drawSlowly(view, tick) {
  drawSentence(view, tick);
  drawTable(view, tick);
  drawLens(view, tick);
  drawHover(view, tick);
  tellAll(view, tick);
}

// All labels at first and when somebody looks; later some at a time, so that no frame has to wait for them.
function tellAll(view, tick) {
  const now = performance.now();
  const all = view.told === -Infinity;
  if (!all && view.telling === 0 && now - view.told < 2500) return;
  const parts = [...view.edges, ...view.nodes];
  const until = all ? parts.length : Math.min(parts.length, view.telling + 100);
  for (let i = all ? 0 : view.telling; i < until; i++) {
    tell(parts[i], parts[i].kind === "node" ? tellNode(view, parts[i], tick) : tellEdge(view, parts[i], tick));
  }
  view.telling = until < parts.length ? until : 0;
  view.told = now;
}

function tell(part, text) {
  put(part.group, "aria-label", text);
  say(part.title, text);
}

const MOST_SMALL_DASHES = 120;

// Dashes move only where somebody sees them and wants them.
function setMoving(view) {
  const visible = view.detail < 2 || (view.detail === 2 && view.edges.length <= MOST_SMALL_DASHES);
  const moving = view.awake && !view.reduced.matches && visible;
  if (view.moving === moving) return;
  view.moving = moving;
  for (const edge of view.edges) setSpeed(view, edge, edge.speed);
}

// How much is written in the picture: all (0), names, bars and shares (1), names and bars (2), colours only (3).
function setDetail(view) {
  const k = view.camera.k;
  const detail = k >= 0.58 ? 0 : k >= 0.38 ? 1 : k >= 0.2 ? 2 : 3;
  if (view.detail !== detail) {
    view.detail = detail;
    for (const at of [0, 1, 2, 3]) flag(view.dom.svg, `dgv-detail-${at}`, at === detail);
    for (const node of view.nodes) nameAtDetail(node, detail);
    for (const part of [...view.nodes, ...view.edges]) part.drawn = undefined;
    setMoving(view);
    redraw(view);
  }
  drawFlag(view, view.shown);
}

function nameAtDetail(node, detail) {
  const { def } = node;
  const signed = def.kind === "processor" && detail < 2;
  say(node.name, detail === 0 ? def.label : fit(def.label, def.w - (signed ? 40 : 18), detail === 1 ? 20 : 28, true));
}

// In a large flow only what is in sight is in the page's way; the rest waits until the camera comes.
function setSeen(view) {
  if (view.nodes.length + view.edges.length < 120) return;
  const { x, y, k } = view.camera;
  const { stageWidth: w, stageHeight: h } = view;
  let came = false;
  for (const part of [...view.nodes, ...view.edges]) {
    const [left, top, right, bottom] = part.span;
    const seen = right * k + x > -40 && left * k + x < w + 40 && bottom * k + y > -40 && top * k + y < h + 40;
    if (seen === part.seen) continue;
    part.seen = seen;
    came ||= seen;
    put(part.group, "display", seen ? null : "none");
    if (part.line) put(part.line, "display", seen ? null : "none");
    if (part.line) setSpeed(view, part, part.speed);
  }
  if (came) redraw(view);
}
