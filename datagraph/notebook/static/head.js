// Above the picture: what it is, how it goes, the one sentence, and the buttons.

function makeHead(view) {
  const { dom } = view;
  const [icon, mark] = signIcon();
  const name = html("bdi", { class: "dgv-title" });
  const facts = html("span", { class: "dgv-facts" });
  const badge = html("span", { class: "dgv-badge", role: "status" });
  const pause = button("Pause", "Pause the run: every processor finishes what it has in hand", () => act(view, view.live?.paused ? "resume" : "pause"), { class: "dgv-main" });
  const stop = button("Stop", "Stop: close the inputs, let everything under way arrive, keep the results", () => act(view, "stop"));
  const steer = html("span", { class: "dgv-group", role: "group", "aria-label": "Run" }, pause, stop);
  const tools = html("span", { class: "dgv-group", role: "group", "aria-label": "Picture" },
    button("−", "Zoom out", () => zoomAt(view, 1 / 1.25), { "aria-label": "Zoom out" }),
    button("Fit", "Show the whole flow", () => { view.camera.high = null; fitCamera(view); }),
    button("+", "Zoom in (or Ctrl and the wheel)", () => zoomAt(view, 1.25), { "aria-label": "Zoom in" }));
  const table = button("Table", "Show the same as a table", () => toggleTable(view), { "aria-pressed": "false" });
  const copy = button("Copy", "Copy as text", () => copyText(view, copy));
  const more = html("span", { class: "dgv-group" }, table, copy);
  const head = html("div", { class: "dgv-head" },
    html("span", { class: "dgv-what" }, icon, name, badge), facts, html("span", { class: "dgv-buttons" }, steer, makeTools(view), tools, more));
  const sentence = html("p", { class: "dgv-sentence" });
  const error = html("p", { class: "dgv-error", hidden: true });
  const said = html("p", { class: "dgv-notice", role: "status", hidden: true });
  const spoken = html("p", { class: "dgv-spoken", role: "status", "aria-live": "polite" });
  Object.assign(dom, { mark, name, facts, badge, pause, stop, steer, tableButton: table, sentence, error, notice: said, spoken });
  return [head, sentence, error, html("div", { class: "dgv-over" }, said), spoken];
}

function statusOf(tick) {
  if (!tick) return "not started";
  return tick.paused && !isOver(tick) ? "paused" : tick.stopping && !isOver(tick) ? "stopping" : clean(tick.status, 40);
}

function drawHead(view, tick) {
  const { dom } = view;
  const status = statusOf(tick);
  putSign(dom.mark, sign(tick ? status : "waiting", false));
  say(dom.name, view.name);
  const facts = [status];
  if (tick) facts.push(seconds(tick.elapsed));
  if (tick?.workers > 1) facts.push(`${tick.workers} workers`);
  say(dom.facts, facts.join(" · "));
  const over = isOver(view.live);
  const saved = tick && !over && !view.reached;
  const badge = view.past ? "replay" : saved ? "as saved" : view.stale && !over ? view.stale : "";
  say(dom.badge, badge);
  put(dom.badge, "title", view.past ? null : view.staleWhy || null);
  flag(dom.badge, "dgv-alarm", Boolean(view.stale) && !view.past);
  flag(dom.root, "dgv-stale", Boolean(view.stale) && !over && !view.past);
  flag(dom.root, "dgv-past", Boolean(view.past));
  put(dom.steer, "hidden", !view.send || !view.live || over || !view.reached);
  say(dom.pause, view.live?.paused ? "Resume" : "Pause");
  put(dom.pause, "title", view.live?.paused ? "Let the run go on" : "Pause the run: every processor finishes what it has in hand");
  put(dom.stop, "disabled", Boolean(view.live?.stopping));
}

const SENTENCE = { letters: 190, wide: 0.5, line: 1.45, most: 4 };

// The sentence has the room of a long one from the first, and keeps what it once needed: the picture beneath stays where it is.
function fitSentence(view) {
  const { sentence } = view.dom;
  const letter = SENTENCE.wide * parseFloat(getComputedStyle(sentence).fontSize);
  const lines = Math.ceil((SENTENCE.letters * letter) / Math.max(sentence.clientWidth, 1));
  sentence.style.minHeight = `${Math.min(lines, SENTENCE.most) * SENTENCE.line}em`;
  sentence.style.minHeight = `${(view.sentenceHigh = sentence.scrollHeight)}px`;
}

function drawSentence(view, tick) {
  const { dom } = view;
  const said = tick ? clean(tick.sentence, 1000) : planOf(view);
  if (dom.sentence.dgText !== said) {
    saySentence(dom.sentence, said);
    const high = dom.sentence.scrollHeight;
    if (high > view.sentenceHigh) dom.sentence.style.minHeight = `${(view.sentenceHigh = high)}px`;
  }
  const error = tick ? clean(tick.error, 600) : "";
  saySentence(dom.error, error);
  put(dom.error, "hidden", !error);
  const now = performance.now();
  const news = `${statusOf(tick)} ${tick?.bottleneck ?? ""}`;
  if (view.past || (news === view.news && now - view.spoke < 30_000)) return;
  Object.assign(view, { news, spoke: now });
  say(dom.spoken, tick ? `${statusOf(tick)}. ${said.replaceAll("`", "")}` : "");
}

// What there is to say of a flow that does not run yet.
function planOf(view) {
  const works = view.nodes.filter((node) => node.def.kind === "processor").length;
  return `${plural(works, "processor", "processors")}, ${plural(view.edges.length, "edge", "edges")}; start it, and this picture moves.`;
}

function notice(view, text) {
  say(view.dom.notice, text);
  put(view.dom.notice, "hidden", !text);
}

function makeLegend(view) {
  const legend = html("div", { class: "dgv-legend", "aria-label": "Legend" });
  for (const [kind, words] of view.scene.legend ?? []) {
    const swatch = svg("svg", { width: 12, height: 9, "aria-hidden": "true" });
    svg("rect", { width: 12, height: 9, rx: 2, class: kind }, swatch);
    if (kind === "blocked") svg("path", { class: "stripe", d: "M2,9L7.4,0M8,9L13.4,0", "stroke-width": 1.5 }, swatch);
    legend.append(html("span", {}, swatch, String(words)));
  }
  const line = svg("svg", { width: 20, height: 9, "aria-hidden": "true" });
  svg("path", { class: "edge k-quiet wait", d: "M1,4.5H19", "stroke-width": 2 }, line);
  legend.append(html("span", {}, line, "no limit"));
  return legend;
}

function asText(view) {
  const tick = view.shown;
  const lines = [`${view.name}: ${statusOf(tick)}${tick ? `, ${seconds(tick.elapsed)}` : ""}`];
  if (tick?.sentence) lines.push(clean(tick.sentence, 1000));
  if (tick?.error) lines.push(clean(tick.error, 1000));
  lines.push("", ...view.nodes.map((node) => tellNode(view, node, tick)), "", ...view.edges.map((edge) => tellEdge(view, edge, tick)));
  return `${lines.join("\n")}\n`;
}

async function copyText(view, place, text = asText(view)) {
  const label = (place.dgLabel ??= place.textContent);
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    said = copyByHand(view, text) ? "Copied" : "Not allowed";
  }
  say(place, said);
  setTimeout(() => say(place, label), 1500);
}

function copyByHand(view, text) {
  const area = html("textarea", { class: "dgv-spoken" });
  area.value = text;
  view.dom.root.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
