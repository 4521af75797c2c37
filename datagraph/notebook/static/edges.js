// An edge: a line as wide as it is full, dashes that move as fast as values do, and a plate with its numbers.

const PLATE = { pad: 8, name: 15, bar: 21, held: 41, soon: 55 };
const DASH = 14;

function makeEdge(view, def, index) {
  const line = svg("g", { class: `dgv-line${def.unbounded ? " dgv-free" : ""}`, "data-pick": `e${index}` }, view.dom.lines);
  const edge = { kind: "edge", index, def, line, drawn: undefined, speed: 0, seen: true, span: spanOf(def) };
  svg("path", { class: "dgv-hit", d: def.path }, line);
  edge.base = svg("path", { class: "edge k-quiet", d: def.path, "stroke-width": 1.6 }, line);
  edge.dash = svg("path", { class: "edge dgv-dash", d: def.path, "stroke-width": 1.2 }, line);
  if (def.head) {
    const place = svg("g", { transform: `translate(${def.head[0]},${def.head[1]}) rotate(${def.head[2]})` }, line);
    edge.head = svg("path", { class: "quiet", d: "M0,0L-8.6,-4L-8.6,4Z" }, place);
  }
  if (def.plate) makePlate(view, edge);
  else Object.assign(edge, { group: line, title: svg("title", {}, line) });
  put(edge.group, "role", "button");
  put(edge.group, "tabindex", -1);
  say(edge.title, def.name);
  return edge;
}

// The rectangle that a line stays in: Bézier curves keep within their points.
function spanOf(def) {
  const numbers = (def.path.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
  const xs = numbers.filter((_, i) => i % 2 === 0);
  const ys = numbers.filter((_, i) => i % 2 === 1);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function makePlate(view, edge) {
  const { def } = edge;
  const { x, y, w, h } = def.plate;
  const inner = w - 2 * PLATE.pad;
  const group = svg("g", { class: "dgv-plate", transform: `translate(${x},${y})`, "data-pick": `e${edge.index}` }, view.dom.plates);
  edge.group = group;
  edge.title = svg("title", {}, group);
  svg("rect", { class: "plate", width: w, height: h, rx: 7 }, group);
  edge.name = svg("text", { class: "n b dgv-fine", x: PLATE.pad, y: PLATE.name }, group);
  edge.written = svg("text", { class: "s e dgv-num dgv-fine", x: w - PLATE.pad, y: PLATE.name }, group);
  const bar = svg("g", { class: "dgv-bar", transform: `translate(${PLATE.pad},${PLATE.bar})` }, group);
  const inside = svg("g", { class: "dgv-bar-in" }, bar);
  svg("rect", { class: "track", width: inner, height: 7, rx: 2 }, inside);
  edge.fill = svg("rect", { class: "calm", width: 0, height: 7, rx: 2 }, inside);
  edge.held = svg("text", { class: "n dgv-fine", x: PLATE.pad, y: PLATE.held }, group);
  edge.share = svg("text", { class: "n e dgv-share", x: w - PLATE.pad, y: PLATE.held }, group);
  edge.rate = svg("text", { class: "s dgv-num dgv-fine", x: PLATE.pad, y: PLATE.soon }, group);
  edge.soon = svg("text", { class: "s e dgv-num dgv-fine", x: w - PLATE.pad, y: PLATE.soon }, group);
  edge.ring = svg("rect", { class: "dgv-ring", x: -4, y: -4, width: w + 8, height: h + 8, rx: 10 }, group);
  makeStop(edge);
}

function drawEdge(view, edge, tick) {
  const row = tick ? tick.e[edge.index] : null;
  const still = !tick || tick.paused || isOver(tick) || view.stale;
  if (edge.drawn !== undefined && sameRow(edge.drawn, row) && edge.still === still) return;
  Object.assign(edge, { drawn: row, still });
  drawLine(view, edge, row);
  setSpeed(view, edge, still || !row ? 0 : pace(row[view.E.rate_out]));
  if (!edge.def.plate) return;
  drawStop(view, edge, row);
  if (row) drawPlate(view, edge, row);
  else {
    say(edge.name, fit(edge.def.stream, edge.def.plate.w - 2 * PLATE.pad, 11, true));
    say(edge.held, edge.def.capacity === null ? "no limit" : `room for ${number(edge.def.capacity)}`);
    put(edge.fill, "width", 0);
  }
}

// The colour and the width of the line: quiet where nothing is held back, or nothing moves.
function drawLine(view, edge, row) {
  const E = view.E;
  const moves = Boolean(row) && row[E.capacity] !== null && Boolean(row[E.lag] || row[E.rate_out]);
  const fill = row ? row[E.fill] : 0;
  const width = Math.round(strokeWidth(fill) * 4) / 4;
  const colour = moves ? level(fill) : "quiet";
  put(edge.base, "class", `edge k-${colour}`);
  put(edge.base, "stroke-width", width);
  put(edge.dash, "stroke-width", edge.def.unbounded ? width : Math.max(0.9, width * 0.34));
  if (edge.def.unbounded) put(edge.dash, "class", `edge dgv-dash k-${colour}`);
  if (!edge.head) return;
  put(edge.head, "class", colour);
  const length = 7 + width;
  const half = Math.round((2.6 + width * 0.85) * 10) / 10;
  put(edge.head, "d", `M0,0L-${length},-${half}L-${length},${half}Z`);
}

function drawPlate(view, edge, row) {
  const E = view.E;
  const { def } = edge;
  const inner = def.plate.w - 2 * PLATE.pad;
  const bounded = row[E.capacity] !== null;
  const colour = level(row[E.fill]);
  const ended = row[E.waiting] === "closed" || (row[E.ended] && !row[E.lag]);
  const grid = view.detail > 1 ? 4 : 0.1;
  const filled = bounded && row[E.fill] > 0 ? Math.max(2, Math.round((inner * Math.min(row[E.fill], 1)) / grid) * grid) : 0;
  put(edge.fill, "class", colour);
  put(edge.fill, "width", Math.min(filled, inner).toFixed(1));
  if (view.detail > 1) return;
  const loud = bounded && colour === "full" ? " b" : "";
  put(edge.share, "class", `n${loud} e dgv-share${bounded ? "" : " dgv-fine"}`);
  say(edge.share, ended ? "" : bounded ? percent(row[E.fill]) : "no limit");
  if (view.detail > 0) return;
  const written = `${number(row[E.written])} written`;
  say(edge.written, written);
  say(edge.name, fit(def.stream, inner - textWidth(written, 11) - 8, 11, true));
  put(edge.held, "class", `n${loud} dgv-fine`);
  say(edge.held, ended ? "all read" : bounded ? `${number(row[E.lag])} of ${number(row[E.capacity])}` : `${number(row[E.lag])} waiting`);
  say(edge.rate, perSecond(row[E.rate_out]) || (row[E.ended] ? "ended" : "0/s"));
  say(edge.soon, soonOf(view, row));
}

const SOON_FROM = 0.5; // seconds: what comes sooner is there before it could be read, and would flicker

function soonOf(view, row) {
  const E = view.E;
  const held = heldAt(view, row);
  if (held || !row[E.lag]) return held;
  const near = (value) => typeof value === "number" && value >= SOON_FROM && value < 360_000;
  if (near(row[E.seconds_to_full]) && row[E.fill] < 1) return `full in ${seconds(row[E.seconds_to_full])}`;
  return near(row[E.seconds_to_drained]) ? `empty in ${seconds(row[E.seconds_to_drained])}` : "";
}

// Pixels a second: a thousand times as many values go about four times as fast, so that it stays calm.
function pace(rate) {
  return rate > 0 ? Math.min(60, Math.round(6 + 10 * Math.log10(1 + rate))) : 0;
}

// The dashes keep their place when their speed changes: an animation's rate is changed, not the animation.
function setSpeed(view, edge, speed) {
  edge.speed = speed;
  const moves = speed > 0 && view.moving && edge.seen;
  flag(edge.line, "dgv-moves", speed > 0);
  if (!moves) return edge.motion?.pause();
  edge.motion ??= edge.dash.animate([{ strokeDashoffset: DASH }, { strokeDashoffset: 0 }], { duration: 1000, iterations: Infinity });
  edge.motion.updatePlaybackRate(speed / DASH);
  if (edge.motion.playState !== "running") edge.motion.play();
}

function tellEdge(view, edge, tick) {
  const ends = `${edge.def.stream}, from ${nameOf(view, edge.def.source)} to ${nameOf(view, edge.def.target)}`;
  const row = tick?.e[edge.index];
  const E = view.E;
  if (!row) return `${ends}: ${edge.def.capacity === null ? "no limit" : `room for ${number(edge.def.capacity)}`}`;
  const held = row[E.capacity] === null ? `${number(row[E.lag])} waiting` : `${number(row[E.lag])} of ${number(row[E.capacity])} waiting, fill ${percent(row[E.fill])}`;
  const rates = `${short(row[E.rate_in])}/s in, ${short(row[E.rate_out])}/s out`;
  return [`${ends}: ${held}`, `${number(row[E.written])} written`, rates, soonOf(view, row), tellBreak(view, row)].filter(Boolean).join(", ");
}

function nameOf(view, name) {
  return view.byName.get(name)?.def.label ?? clean(name, 80);
}
