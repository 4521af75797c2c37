// The scrubber: any recorded moment again, in the browser alone. Ticks that come meanwhile are recorded, not shown.

const PLAY_SECONDS = 20;

function makeTime(view) {
  const play = button("▶", "Play the recording", () => togglePlay(view), { "aria-label": "Play the recording" });
  const range = html("input", { type: "range", min: 0, max: 1, step: "any", value: 1, "aria-label": "Time of the run" });
  const strip = svg("svg", { class: "dgv-strip", preserveAspectRatio: "none", viewBox: "0 0 1000 20", "aria-hidden": "true" });
  const path = svg("path", { class: "dgv-strip-line" }, strip);
  const clock = html("span", { class: "dgv-clock" });
  const live = button("Live", "Back to now", () => goLive(view), { "aria-pressed": "true" });
  range.addEventListener("input", () => scrub(view, Number(range.value)));
  range.addEventListener("keydown", (event) => stepTick(view, event));
  const bar = html("div", { class: "dgv-time", hidden: true, role: "group", "aria-label": "Recording" },
    play, html("span", { class: "dgv-track" }, strip, range), clock, live);
  view.time = { bar, play, range, path, clock, live, playing: 0, stripped: 0 };
  return bar;
}

// Left and right go from one recorded moment to the next.
function stepTick(view, event) {
  const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (!way || !view.ticks.length) return;
  event.preventDefault();
  const now = view.ticks.indexOf(view.past ?? view.live);
  const next = view.ticks[Math.min(Math.max(now + way, 0), view.ticks.length - 1)];
  scrub(view, next.elapsed);
}

function scrub(view, elapsed) {
  stopPlay(view);
  show(view, elapsed);
}

function show(view, elapsed) {
  view.past = tickAt(view, elapsed);
  view.hurry = true;
  redraw(view);
}

function goLive(view) {
  stopPlay(view);
  view.past = null;
  redrawNow(view);
}

function togglePlay(view) {
  if (view.time.playing) return stopPlay(view);
  const first = view.ticks[0]?.elapsed ?? 0;
  const last = view.ticks[view.ticks.length - 1]?.elapsed ?? 0;
  let at = view.past && view.past.elapsed < last ? view.past.elapsed : first;
  const speed = Math.max(1, (last - first) / PLAY_SECONDS);
  let before = performance.now();
  const onward = (now) => {
    at += ((now - before) / 1000) * speed;
    before = now;
    if (at >= last) return goLive(view);
    view.past = tickAt(view, at);
    redraw(view);
    view.time.playing = requestAnimationFrame(onward);
  };
  view.time.playing = requestAnimationFrame(onward);
  redrawNow(view);
}

function stopPlay(view) {
  cancelAnimationFrame(view.time.playing);
  view.time.playing = 0;
  redraw(view);
}

function drawTime(view) {
  const { bar, play, range, clock, live, playing } = view.time;
  const { ticks } = view;
  put(bar, "hidden", ticks.length < 2);
  if (ticks.length < 2) return;
  const first = ticks[0].elapsed;
  const last = ticks[ticks.length - 1].elapsed;
  put(range, "min", first);
  put(range, "max", Math.max(last, first + 0.001));
  const at = view.past ? view.past.elapsed : last;
  if (Number(range.value) !== at && !(view.past && document.activeElement === range && !playing)) range.value = at;
  put(range, "aria-valuetext", `${seconds(at)} of ${seconds(last)}`);
  say(clock, view.past ? `${seconds(at)} of ${seconds(last)}` : seconds(last));
  say(play, playing ? "❚❚" : "▶");
  put(play, "aria-label", playing ? "Stop playing" : "Play the recording");
  const over = isOver(view.live);
  say(live, over ? "End" : "Live");
  put(live, "title", over ? "To the end of the run" : "Back to now");
  put(live, "aria-pressed", view.past ? "false" : "true");
  drawStrip(view, first, last);
}

// How much flowed when, behind the scrubber; drawn anew at most once a second.
function drawStrip(view, first, last) {
  const now = performance.now();
  if (now - view.time.stripped < 1000) return;
  view.time.stripped = now;
  const rate = view.E.rate_out;
  const step = Math.max(1, Math.ceil(view.ticks.length / 200));
  const points = view.ticks.filter((_, i) => i % step === 0).map((tick) => [tick.elapsed, tick.e.reduce((sum, row) => sum + row[rate], 0)]);
  const most = Math.max(1e-9, ...points.map(([, value]) => value));
  const line = points.map(([at, value]) => `L${(((at - first) / (last - first || 1)) * 1000).toFixed(0)},${(20 - (value / most) * 18).toFixed(1)}`).join("");
  put(view.time.path, "d", `M0,20${line}V20Z`);
}

function fitTime(view) {
  view.time.stripped = 0;
}
