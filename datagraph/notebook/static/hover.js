// A small card beside the pointer: how the lag of an edge, or the shares of a node, went lately.

const LATELY = 60;

function makeHover(view) {
  const line = makeChart("lag, last minute", [["k-work", ""]], { show: number });
  const shares = makeChart("last minute", [["work", "busy"], ["starved", "starved"], ["blocked", "blocked"]], { stacked: true, top: 1 });
  const words = html("div", { class: "dgv-hover-words" });
  const card = html("div", { class: "dgv-hover", hidden: true, "aria-hidden": "true", popover: "manual" }, words, line.figure, shares.figure);
  view.hover = { card, words, line, shares, part: null, timer: 0, away: () => hideCard(view) };
  const { svg: picture, stage } = view.dom;
  stage.append(card);
  picture.addEventListener("pointerover", (event) => hoverOver(view, partOf(view, event.target)));
  picture.addEventListener("pointerleave", () => { hideHover(view); showEnds(view, null); });
  picture.addEventListener("pointerdown", () => hideCard(view));
}

function hoverOver(view, part) {
  const { hover } = view;
  if (part === hover.part) return;
  hideHover(view);
  for (const line of part?.kind === "node" ? edgesOf(view, part) : part ? [part] : []) flag(line.line, "dgv-near", true);
  hover.part = part;
  showEnds(view, part);
  if (!part || view.dragging || view.change.asks || part === view.chosen || !view.shown || (part.kind === "node" && part.def.kind !== "processor")) return;
  hover.timer = setTimeout(() => showHover(view, part), 180);
}

function edgesOf(view, node) {
  return view.edges.filter((edge) => edge.def.source === node.def.name || edge.def.target === node.def.name);
}

function showHover(view, part) {
  const { card, line, shares } = view.hover;
  put(line.figure, "hidden", part.kind !== "edge");
  put(shares.figure, "hidden", part.kind !== "node");
  put(card, "hidden", false);
  drawHover(view, view.shown);
  raise(card, true);
  const box = part.group.getBoundingClientRect();
  const origin = card.showPopover ? { left: 0, top: 0 } : view.dom.root.getBoundingClientRect();
  const x = Math.max(8, Math.min(box.left + box.width / 2 - card.offsetWidth / 2, innerWidth - card.offsetWidth - 8));
  const above = box.top - card.offsetHeight - 6;
  const y = box.bottom + 6 + card.offsetHeight > innerHeight && above > 0 ? above : box.bottom + 6;
  card.style.transform = `translate(${Math.round(x - origin.left)}px,${Math.round(y - origin.top)}px)`;
  document.addEventListener("scroll", view.hover.away, true);
}

function drawHover(view, tick) {
  const { card, part, line, shares, words } = view.hover;
  if (!part || card.hidden || !tick) return;
  const since = tick.elapsed - LATELY;
  if (part.kind === "edge") {
    const { lag, capacity } = view.E;
    say(words, tellEdge(view, part, tick));
    drawChart(line, series(view, (one) => [one.e[part.index][lag]], 120, since), tick.e[part.index][capacity]);
  } else {
    const { busy, starved, blocked } = view.N;
    say(words, tellNode(view, part, tick));
    drawChart(shares, series(view, ({ n }) => [n[part.index][busy], n[part.index][starved], n[part.index][blocked]], 120, since));
  }
}

function hideCard(view) {
  clearTimeout(view.hover.timer);
  document.removeEventListener("scroll", view.hover.away, true);
  raise(view.hover.card, false);
  put(view.hover.card, "hidden", true);
}

function hideHover(view) {
  if (!view.hover) return;
  hideCard(view);
  if (view.hover.part) for (const edge of view.edges) flag(edge.line, "dgv-near", false);
  view.hover.part = null;
}
