// A node's card: a header with its sign and name, its time as one bar, what it does, what went wrong.

const CARD = { pad: 11, head: 27, bar: 34, doing: 59, note: 74 };

function makeNode(view, def, index) {
  const group = svg("g", {
    class: `dgv-node dgv-${def.kind === "processor" ? "card" : "pill"}`, transform: `translate(${def.x},${def.y})`,
    role: "button", tabindex: -1, "data-pick": `n${index}`,
  }, view.dom.nodes);
  const node = { kind: "node", index, def, group, drawn: undefined, seen: true, span: [def.x, def.y, def.x + def.w, def.y + def.h] };
  node.title = svg("title", {}, group);
  if (def.kind === "processor") makeCard(view, node);
  else makePill(node);
  node.ring = svg("rect", { class: "dgv-ring", x: -4, y: -4, width: def.w + 8, height: def.h + 8, rx: def.kind === "processor" ? 11 : def.h / 2 + 4 }, group);
  say(node.title, def.title);
  return node;
}

function makeCard(view, node) {
  const { group, def } = node;
  const { w, h } = def;
  svg("rect", { class: "card", width: w, height: h, rx: 8 }, group);
  const r = 8;
  svg("path", { class: "full dgv-band", d: `M0,${CARD.head}V${r}a${r},${r} 0 0 1 ${r},-${r}H${w - r}a${r},${r} 0 0 1 ${r},${r}V${CARD.head}Z` }, group);
  node.sign = svg("path", { class: "mark", transform: "translate(16,14.5)" }, svg("g", { class: "dgv-signed" }, group));
  node.name = svg("text", { class: "t dgv-name", x: 28, y: 19 }, group);
  node.tag = svg("text", { class: "n b e on dgv-tag dgv-fine", x: w - CARD.pad, y: 18.5 }, group);
  const bar = svg("g", { class: "dgv-bar", transform: `translate(${CARD.pad},${CARD.bar})` }, group);
  const inner = svg("g", { class: "dgv-bar-in" }, bar);
  svg("rect", { class: "track", width: w - 2 * CARD.pad, height: 9, rx: 2 }, inner);
  node.work = svg("rect", { class: "work", height: 9, width: 0 }, inner);
  node.starved = svg("rect", { class: "starved", height: 9, width: 0 }, inner);
  node.blocked = svg("rect", { fill: `url(#${view.id}-blocked)`, height: 9, width: 0 }, inner);
  node.doing = svg("text", { class: "n dgv-fine", x: CARD.pad, y: CARD.doing }, group);
  node.rate = svg("text", { class: "s e dgv-num dgv-fine", x: w - CARD.pad, y: CARD.doing }, group);
  node.cross = svg("path", { class: "mark k-full dgv-fine", d: MARKS.fail, transform: `translate(${CARD.pad + 4.5},${CARD.note - 4})` }, group);
  node.note = svg("text", { class: "s dgv-num dgv-fine", x: CARD.pad, y: CARD.note }, group);
  node.badge = svg("text", { class: "n e dgv-fine", x: w - CARD.pad, y: CARD.note }, group);
  say(node.name, def.label);
  say(node.tag, "bottleneck");
}

function makePill(node) {
  const { group, def } = node;
  svg("rect", { class: "card", width: def.w, height: def.h, rx: def.h / 2 }, group);
  node.name = svg("text", { class: "t m dgv-name", x: def.w / 2, y: 20 }, group);
  node.count = svg("text", { class: "n m dgv-fine", x: def.w / 2, y: 35.5 }, group);
  say(node.name, def.label);
}

function drawNode(view, node, tick) {
  const row = tick ? tick.n[node.index] : null;
  const culprit = Boolean(tick) && tick.bottleneck === node.def.name;
  const past = Boolean(tick) && (tick.paused || isOver(tick));
  const newer = !view.past && view.offers.has(node.def.name);
  if (node.drawn !== undefined && sameRow(node.drawn, row) && node.culprit === culprit && node.past === past && node.newer === newer) return;
  Object.assign(node, { drawn: row, culprit, past, newer });
  if (node.def.kind !== "processor") drawPill(view, node, row);
  else if (row) drawCard(view, node, row, culprit);
  else drawPlan(node);
}

function sameRow(a, b) {
  if (a === b) return true;
  if (!a || !b || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

// Before a run: what is known of a node.
function drawPlan(node) {
  flag(node.group, "dgv-plan", true);
  const [reads = "", more = ""] = node.def.facts;
  putSign(node.sign, SIGNS.waiting);
  say(node.doing, reads);
  say(node.note, more);
  put(node.cross, "display", "none");
}

function drawPill(view, node, row) {
  const N = view.N;
  if (view.detail > 0) return;
  if (!row) return say(node.count, node.def.facts[0] ?? "");
  const count = Math.max(row[N.written], row[N.read]);
  const lost = String(row[N.status]).includes("lost");
  flag(node.group, "dgv-bad", lost);
  const unit = node.def.kind === "input" ? "given" : count === 1 ? "value" : "values";
  say(node.count, lost ? clean(row[N.status], 40) : `${number(count)} ${unit}`);
}

function drawCard(view, node, row, culprit) {
  const N = view.N;
  const inner = node.def.w - 2 * CARD.pad;
  const failed = row[N.status] === "failed" || String(row[N.status]).includes("lost");
  flag(node.group, "dgv-plan", false);
  flag(node.group, "dgv-culprit", culprit);
  flag(node.group, "dgv-bad", failed && !culprit);
  putSign(node.sign, sign(String(row[N.status]), row[N.paused] || isAtBreakpoint(view, row)));
  drawShares(view, node, row, inner);
  if (view.detail > 0) return;
  say(node.doing, doing(view, row));
  say(node.rate, perSecond(row[N.rate]));
  const troubles = troublesOf(view, row);
  const badge = badgeOf(view, node, row, troubles.length > 0);
  say(node.badge, badge);
  drawNote(view, node, row, troubles, inner - (badge ? textWidth(badge, 11) + 8 : 0));
}

// Busy, starved and blocked as one bar; in a small picture in steps that can be seen.
function drawShares(view, node, row, inner) {
  const N = view.N;
  const grid = view.detail > 1 ? 4 : 0.1;
  let at = 0;
  for (const [part, share] of [[node.work, row[N.busy]], [node.starved, row[N.starved]], [node.blocked, row[N.blocked]]]) {
    const width = Math.round((inner * Math.min(Math.max(share, 0), 1)) / grid) * grid;
    put(part, "x", at.toFixed(1));
    put(part, "width", Math.max(0, Math.min(width, inner - at)).toFixed(1));
    at += width;
  }
}

function drawNote(view, node, row, troubles, room) {
  const N = view.N;
  const trouble = troubles.length > 0;
  const counts = (show) => [row[N.read] ? `${show(row[N.read])} in` : "", row[N.written] ? `${show(row[N.written])} out` : ""].filter(Boolean).join(", ");
  put(node.cross, "display", trouble ? null : "none");
  put(node.note, "x", trouble ? CARD.pad + 15 : CARD.pad);
  put(node.note, "class", `${trouble ? "n b" : "s"} dgv-num dgv-fine`);
  say(node.note, trouble ? firstFit(troubles, room - 15, 11, true) : firstFit([counts(number), counts(short), ""], room, 11));
}

function dominant(view, row) {
  const N = view.N;
  return [[row[N.busy], "busy"], [row[N.starved], "starved"], [row[N.blocked], "blocked"]].reduce((a, b) => (b[0] > a[0] ? b : a));
}

const isAtBreakpoint = (view, row) => String(row[view.N.waits_for]).startsWith("breakpoint:") && !DONE.has(row[view.N.status]);

// What a node does most of its time, or its status where it does nothing any more.
function doing(view, row) {
  const N = view.N;
  const status = String(row[N.status]);
  if (row[N.paused]) return "paused";
  if (isAtBreakpoint(view, row)) return "at a breakpoint";
  const [share, what] = dominant(view, row);
  return (status !== "running" && status !== "waiting") || share <= 0 ? clean(status, 40) : `${percent(share)} ${what}`;
}

// Workers and concurrency where they are not 1, the version of a function that was swapped, and whether there is a newer one.
function badgeOf(view, node, row, brief = false) {
  const N = view.N;
  const parts = row[N.workers] > 1 ? [`${row[N.workers]}${brief ? "w" : " workers"}`] : [];
  if (row[N.concurrency] > 1) parts.push(`×${row[N.concurrency]}`);
  if (row[N.version] > 1) parts.push(`v${row[N.version]}`);
  if (node.newer) parts.push("redefined");
  return parts.join(" ");
}

// What went wrong, in ways from wordy to brief; nothing where nothing did. An error that left a dead letter is one of both.
function troublesOf(view, row) {
  const N = view.N;
  if (row[N.status] === "failed" && row[N.error]) return [clean(row[N.error], 120)];
  const counts = [
    [row[N.dead_letters], "dead letter", "dead letters", "dead"],
    [row[N.errors] > row[N.dead_letters] ? row[N.errors] : 0, "error", "errors", "errors"],
    [row[N.skipped], "skipped", "skipped", "skipped"],
  ].filter(([count]) => count);
  if (!counts.length) return row[N.resumable] ? [] : ["not resumable"];
  const brief = counts.map(([count, , , word]) => `${short(count)} ${word}`);
  return [counts.map(([count, one, many]) => plural(count, one, many)).join(", "), brief.join(", "), brief[0], short(counts[0][0])];
}

function tellNode(view, node, tick) {
  const row = tick?.n[node.index];
  if (!row) return node.def.title;
  const N = view.N;
  const count = `${number(row[N.read])} read, ${number(row[N.written])} written`;
  if (node.def.kind !== "processor") return `${node.def.title}: ${count}`;
  const shares = `busy ${percent(row[N.busy])}, starved ${percent(row[N.starved])}, blocked ${percent(row[N.blocked])}`;
  const status = row[N.paused] ? "paused" : isAtBreakpoint(view, row) ? "at a breakpoint" : clean(row[N.status], 40);
  const parts = [status, node.culprit ? "the bottleneck" : "", shares, count, badgeOf(view, node, row), troublesOf(view, row)[0] ?? ""];
  return `${node.def.title}: ${parts.filter(Boolean).join("; ")}`;
}
