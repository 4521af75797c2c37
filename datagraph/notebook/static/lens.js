// The lens: what is known of the chosen node or edge. Numbers and charts come from the recording, the rest from the kernel.

const LOOK_EVERY = 2000;

function makeLens(view) {
  const panel = html("section", { class: "dgv-lens", hidden: true, "aria-label": "Lens" });
  view.dom.lens = panel;
  return panel;
}

function openLens(view, part, at = null) {
  const { dom } = view;
  const title = html("bdi", { class: "dgv-title" }, part.kind === "node" ? part.def.label : part.def.stream);
  const ends = part.kind === "edge" ? `${nameOf(view, part.def.source)} → ${nameOf(view, part.def.target)}` : part.def.facts.join(", ") || part.def.kind;
  const pause = button("Pause", "Pause this processor only", () => act(view, part.drawn?.[view.N.paused] ? "resume" : "pause", part.def.name), { hidden: true });
  const more = button("Actions", "What can be done to it", () => openActions(view, part, more), { "aria-haspopup": "menu", hidden: !changes(view) });
  const close = button("×", "Close (Escape)", () => choose(view, null), { "aria-label": "Close the lens" });
  const facts = html("dl", { class: "dgv-numbers" });
  const charts = html("div", { class: "dgv-charts" });
  const answer = html("div", { class: "dgv-answer", "aria-live": "off" });
  const head = html("div", { class: "dgv-lens-head" }, title, html("bdi", { class: "dgv-facts" }, ends), html("span", { class: "dgv-buttons" }, pause, more, close));
  dom.lens.replaceChildren(head, html("div", { class: "dgv-lens-body" }, html("div", { class: "dgv-side" }, facts, charts), answer));
  view.lens = { part, at, trace: at, facts, answer, pause, more, charts: chartsFor(part), values: new Map(), asking: false, asked: -Infinity, seen: null };
  charts.append(...view.lens.charts.map((chart) => chart.figure));
  if (part.kind === "edge") putBreakBox(view, part);
  put(dom.lens, "hidden", false);
  put(dom.lens, "aria-label", `Lens: ${part.def.name}`);
  say(answer, view.send && view.reached ? "Looking …" : view.live ? "No kernel is connected: values, source and errors are not in the recording." : "");
  drawLens(view, view.shown);
}

function chartsFor(part) {
  if (part.kind === "edge") {
    return [
      makeChart("Waiting", [["k-busy", "lag"]], { show: number }),
      makeChart("Values a second", [["k-work", "in"], ["k-calm", "out"]]),
    ];
  }
  if (part.def.kind !== "processor") return [makeChart("Values a second", [["k-work", "rate"]])];
  return [
    makeChart("Its time", [["work", "busy"], ["starved", "starved"], ["blocked", "blocked"]], { stacked: true, top: 1 }),
    makeChart("Values a second", [["k-work", "rate"]]),
  ];
}

function closeLens(view) {
  view.lens = null;
  put(view.dom.lens, "hidden", true);
  view.dom.lens.replaceChildren();
}

function drawLens(view, tick) {
  const { lens } = view;
  if (!lens) return;
  const { part, charts } = lens;
  if (tick) {
    const pick = part.kind === "edge" ? edgeNumbers : nodeNumbers;
    for (const [key, value] of pick(view, part, tick)) sayFact(lens, key, value);
    if (part.kind === "edge") drawEdgeCharts(view, part, charts, tick);
    else drawNodeCharts(view, part, charts);
  }
  const steers = view.send && view.reached && part.def.kind === "processor" && part.kind === "node" && view.live && !isOver(view.live);
  put(lens.pause, "hidden", !steers);
  put(lens.more, "hidden", !changes(view));
  if (lens.stop) drawBreakBox(view, lens.stop);
  if (part.kind === "node") say(lens.pause, view.live?.n[part.index][view.N.paused] ? "Resume" : "Pause");
  look(view);
}

function sayFact(lens, key, value) {
  let cell = lens.values.get(key);
  if (!cell) {
    cell = html("dd", {});
    lens.values.set(key, cell);
    lens.facts.append(html("div", {}, html("dt", {}, key), cell));
  }
  say(cell, value);
}

function edgeNumbers(view, part, tick) {
  const row = tick.e[part.index];
  const E = view.E;
  return [
    ["written", number(row[E.written])],
    ["read", number(row[E.read])],
    ["waiting", row[E.capacity] === null ? number(row[E.lag]) : `${number(row[E.lag])} of ${number(row[E.capacity])}`],
    ["bytes waiting", bytes(row[E.size])],
    ["in", `${short(row[E.rate_in])}/s`],
    ["out", `${short(row[E.rate_out])}/s`],
    ["soon", soonOf(view, row) || "–"],
    ["waits", { writer: "the writer, for room", reader: "the reader, for values", both: "writer and reader", closed: "closed" }[row[E.waiting]] ?? "nobody"],
  ];
}

function nodeNumbers(view, part, tick) {
  const row = tick.n[part.index];
  const N = view.N;
  const counts = [["read", number(row[N.read])], ["written", number(row[N.written])], ["rate", `${short(row[N.rate])}/s`]];
  if (part.def.kind !== "processor") return [["status", clean(row[N.status], 40)], ...counts];
  return [
    ["status", row[N.paused] ? "paused" : clean(row[N.status], 40)],
    ...counts,
    ["busy", percent(row[N.busy])],
    ["starved", percent(row[N.starved])],
    ["blocked", percent(row[N.blocked])],
    ...(N.cpu === undefined || row[N.cpu] === null ? [] : [["processor time", percent(row[N.cpu])]]),
    ["workers", `${row[N.workers]} × ${row[N.concurrency]}`],
    ["errors", number(row[N.errors])],
    ["retries", number(row[N.retries])],
    ["dead letters", number(row[N.dead_letters])],
    ["version", row[N.resumable] ? `v${row[N.version]}` : `v${row[N.version]}, not resumable`],
    ["waits for", clean(row[N.waits_for], 60) || "–"],
  ];
}

function drawEdgeCharts(view, part, [lag, rate], tick) {
  const E = view.E;
  const i = part.index;
  drawChart(lag, series(view, ({ e }) => [e[i][E.lag]]), tick.e[i][E.capacity]);
  drawChart(rate, series(view, ({ e }) => [e[i][E.rate_in], e[i][E.rate_out]]));
}

function drawNodeCharts(view, part, charts) {
  const N = view.N;
  const i = part.index;
  drawChart(charts[charts.length - 1], series(view, ({ n }) => [n[i][N.rate]]));
  if (charts.length > 1) drawChart(charts[0], series(view, ({ n }) => [n[i][N.busy], n[i][N.starved], n[i][N.blocked]]));
}

// Asks for values, source and errors: one question at a time, again every two seconds while something happens.
function look(view) {
  const { lens } = view;
  const now = performance.now();
  if (!view.send || !view.reached || lens.asking || now - lens.asked < LOOK_EVERY) return;
  const news = view.live ? `${view.live.status} ${JSON.stringify(lens.part.kind === "edge" ? view.live.e[lens.part.index] : view.live.n[lens.part.index].slice(4))}` : "";
  if (news === lens.seen) return;
  Object.assign(lens, { asking: true, asked: now, seen: news });
  if (lens.trace !== null && lens.table) return retrace(view, lens);
  const message = { kind: "lens", [lens.part.kind]: lens.part.def.name };
  if (lens.at !== null) message.at = lens.at;
  ask(view, message).then(
    (data) => answered(view, lens, data),
    (error) => failedLook(view, lens, error),
  ).finally(() => { lens.asking = false; });
}

function answered(view, lens, data) {
  if (view.lens !== lens) return;
  lens.answer.dgText = undefined;
  if (lens.part.kind === "edge") showValues(view, lens, data);
  else showNode(lens, data);
}
