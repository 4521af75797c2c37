// Small pictures of numbers over time: lines, and shares that add up.

const CHART = { w: 320, h: 92, left: 4, right: 4, top: 6, bottom: 14 };

// A chart is made once; `drawChart` fills it. `lines` are [class, words] in the order of the values of a row.
function makeChart(title, lines, { stacked = false, top = null, show = short } = {}) {
  const picture = svg("svg", { class: "dgv-chart", viewBox: `0 0 ${CHART.w} ${CHART.h}`, role: "img" });
  const base = CHART.h - CHART.bottom;
  svg("path", { class: "dgv-axis", d: `M${CHART.left},${base + 0.5}H${CHART.w - CHART.right}` }, picture);
  const paths = lines.map(([kind]) => svg("path", stacked ? { class: kind } : { class: `edge ${kind}`, "stroke-width": 1.6 }, picture));
  const limit = svg("path", { class: "edge k-full dgv-limit", display: "none" }, picture);
  const from = svg("text", { class: "s dgv-num", x: CHART.left, y: CHART.h - 3 }, picture);
  const to = svg("text", { class: "s e dgv-num", x: CHART.w - CHART.right, y: CHART.h - 3 }, picture);
  const most = html("span", { class: "dgv-most" });
  const keys = lines.map(([kind, words]) => {
    const swatch = svg("svg", { width: 12, height: 9, "aria-hidden": "true" });
    svg("rect", stacked ? { class: kind, width: 12, height: 9, rx: 2 } : { class: kind.replace(/\bk-/, ""), y: 3, width: 12, height: 3, rx: 1 }, swatch);
    return html("span", {}, swatch, words);
  });
  const figure = html("figure", {}, html("figcaption", {}, html("b", {}, title), ...keys, most), picture);
  return { figure, picture, paths, limit, from, to, most, stacked, top, show, title };
}

// Rows are [elapsed, value, ...]; `limit` is a height that must not be passed.
function drawChart(chart, rows, limit = null) {
  const { paths } = chart;
  if (rows.length < 2) {
    for (const path of paths) put(path, "d", "");
    say(chart.to, rows.length ? "one moment so far" : "nothing recorded yet");
    return;
  }
  const first = rows[0][0];
  const span = Math.max(rows[rows.length - 1][0] - first, 1e-6);
  const peak = Math.max(1e-9, chart.top ?? Math.max(limit ?? 0, ...rows.map((row) => Math.max(...row.slice(1)))));
  const base = CHART.h - CHART.bottom;
  const x = (at) => (CHART.left + ((at - first) / span) * (CHART.w - CHART.left - CHART.right)).toFixed(1);
  const y = (value) => (base - (Math.min(value, peak) / peak) * (base - CHART.top)).toFixed(1);
  const under = rows.map(() => 0);
  paths.forEach((path, i) => {
    const over = rows.map((row, j) => (chart.stacked ? under[j] + row[i + 1] : row[i + 1]));
    let d = rows.map((row, j) => `${j ? "L" : "M"}${x(row[0])},${y(over[j])}`).join("");
    if (chart.stacked) {
      for (let j = rows.length - 1; j >= 0; j--) d += `L${x(rows[j][0])},${y(under[j])}`;
      d += "Z";
      over.forEach((value, j) => { under[j] = value; });
    }
    put(path, "d", d);
  });
  put(chart.limit, "display", limit ? null : "none");
  if (limit) put(chart.limit, "d", `M${CHART.left},${y(limit)}H${CHART.w - CHART.right}`);
  say(chart.from, seconds(first));
  say(chart.to, seconds(rows[rows.length - 1][0]));
  say(chart.most, chart.top ? "" : `up to ${chart.show(peak)}`);
  put(chart.picture, "aria-label", `${chart.title} from ${seconds(first)} to ${seconds(rows[rows.length - 1][0])}, up to ${chart.show(peak)}`);
}
