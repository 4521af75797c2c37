// What was seen so far: a bounded list of ticks, thinned as events/journal.py thins its own.

const MOST_TICKS = 600;
const MOST_VALUES = 1_500_000;

function mostTicks(scene) {
  const values = scene.nodes.length * scene.fields.node.length + scene.edges.length * scene.fields.edge.length;
  return Math.max(60, Math.min(MOST_TICKS, Math.floor(MOST_VALUES / Math.max(values, 1))));
}

function thinned(ticks, most) {
  let kept = ticks;
  while (kept.length > most) kept = kept.filter((_, i) => i % 2 === 0 || i === ticks.length - 1);
  return kept;
}

// Keeps a tick. One that is older than the last is of another time and dropped.
function remember(view, tick) {
  const last = view.ticks[view.ticks.length - 1];
  if (last && tick.at < last.at) return false;
  if (last && tick.at === last.at) view.ticks[view.ticks.length - 1] = tick;
  else view.ticks.push(tick);
  view.ticks = thinned(view.ticks, view.mostTicks);
  return true;
}

// Ticks and recordings come as JSON text, which is cheap for the kernel; in a page they are objects already. Null where
// they are neither.
function parsed(data) {
  if (typeof data !== "string") return data ?? null;
  try {
    return data ? JSON.parse(data) : null;
  } catch {
    return null;
  }
}

// A recording is a list of ticks, or what Journal.to_dict() makes: {name, ticks}.
function loadHistory(view, saved, last) {
  const recording = parsed(saved);
  const tick = parsed(last);
  const ticks = Array.isArray(recording) ? recording : (recording?.ticks ?? []);
  view.name = clean(recording?.name || view.scene.name, 80) || "flow";
  const fits = (one) => one?.n?.length === view.scene.nodes.length && one?.e?.length === view.scene.edges.length;
  view.ticks = [];
  for (const one of ticks) if (fits(one)) remember(view, one);
  if (tick && fits(tick)) remember(view, tick);
  view.live = view.ticks[view.ticks.length - 1] ?? null;
}

// The last tick that was known `elapsed` seconds after the start.
function tickAt(view, elapsed) {
  let low = 0;
  let high = view.ticks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (view.ticks[middle].elapsed <= elapsed) low = middle;
    else high = middle - 1;
  }
  return view.ticks[low] ?? null;
}

// Values over time as [elapsed, value, ...] rows, at most `most` of them, up to the tick that is shown.
function series(view, pick, most = 240, since = -Infinity) {
  const until = view.shown ? view.shown.elapsed : Infinity;
  const ticks = view.ticks.filter((tick) => tick.elapsed >= since && tick.elapsed <= until + 1e-6);
  const step = Math.max(1, Math.ceil(ticks.length / most));
  const rows = [];
  for (let i = (ticks.length - 1) % step; i < ticks.length; i += step) rows.push([ticks[i].elapsed, ...pick(ticks[i])]);
  return rows;
}

const isOver = (tick) => Boolean(tick) && tick.status !== "running" && tick.status !== "waiting";
