// One view: everything it knows is in one object, `view`; every function above takes it first.

let views = 0;

function newView(el, source) {
  const scene = source.scene;
  return {
    id: `dgv${++views}-${Math.random().toString(36).slice(2, 7)}`,
    el, scene, name: "", send: source.send ?? null, reached: false, dom: {},
    N: {}, E: {}, nodes: [], edges: [], byName: new Map(), rows: [],
    ticks: [], mostTicks: mostTicks(scene), live: null, past: null, shown: null,
    camera: { x: 0, y: 0, k: 1, own: false, high: null }, detail: -1,
    chosen: null, roving: null, lens: null, hover: null, time: null,
    controls: new Set(), offers: new Set(), menu: null, change: null, palette: null, dragging: false, letGo: null, endsTimer: 0,
    asked: 0, waiting: new Map(), stale: "", staleWhy: "", heard: performance.now(),
    awake: true, moving: null, reduced: matchMedia("(prefers-reduced-motion: reduce)"),
    frame: 0, drew: 0, cost: 0, stageWidth: 0, stageHeight: 0, sentenceHigh: 0,
    slowly: -Infinity, told: -Infinity, telling: 0, spoke: -Infinity, news: null, hurry: false, closed: false,
  };
}

const EMPTY_SCENE = {
  name: "", width: 200, height: 80, horizontal: true, legend: [], nodes: [], edges: [], fields: { node: [], edge: [] },
};

// Shows a scene in `el`; returns what takes it away. source = {scene, tick, recording, send, on}: tick and recording may be
// JSON texts, `send` is null where there is no kernel, `on` hands every message of the kernel to a callback and returns
// what ends that.
function mount(el, source) {
  const view = newView(el, { ...source, scene: source.scene?.nodes ? source.scene : EMPTY_SCENE });
  const { dom } = view;
  dom.root = html("div", { class: "dg dgv", role: "region", "aria-label": `Flow ${clean(view.scene.name, 80)}` });
  const head = makeHead(view);
  dom.svg = svg("svg", { class: "dgv-svg", role: "group", "aria-label": "The flow: arrow keys walk along it, Enter opens the lens" });
  dom.stage = html("div", { class: "dgv-stage" }, dom.svg);
  makePicture(view);
  loadHistory(view, source.recording, source.tick);
  dom.root.append(...head, dom.stage, makePalette(view), makeChange(view), makeTable(view), makeTime(view), makeLens(view), makeLegend(view), makeMenu(view));
  el.replaceChildren(dom.root);
  makeHover(view);
  makeCamera(view);
  makeSelect(view);
  fitCamera(view);
  const heard = source.on?.((message) => hear(view, message));
  const ends = [watchSize(view), watchSight(view), keepAlive(view), watchMotion(view), heard];
  setMoving(view);
  draw(view);
  view.send?.({ kind: "hello" });
  return () => close(view, ends);
}

function watchMotion(view) {
  const update = () => setMoving(view);
  view.reduced.addEventListener("change", update);
  return () => view.reduced.removeEventListener("change", update);
}

function close(view, ends) {
  view.closed = true;
  stopPlay(view);
  cancelAnimationFrame(view.frame);
  clearTimeout(-view.frame);
  for (const end of ends) end?.();
  for (const waiting of view.waiting.values()) clearTimeout(waiting.timer);
  hideCard(view);
  for (const timer of [view.endsTimer, view.change.timer]) clearTimeout(timer);
  closeMenu(view, false);
  view.letGo?.();
  view.dom.root.remove();
}

function render({ model, el }) {
  const on = (callback) => {
    model.on("msg:custom", callback);
    return () => model.off("msg:custom", callback);
  };
  const [scene, tick, recording] = ["scene", "tick", "recording"].map((name) => model.get(name));
  const send = (message) => {
    try {
      model.send(message);
    } catch {
      // Its kernel was restarted or has ended: nobody hears, and what is seen goes stale.
    }
  };
  return mount(el, { scene, tick, recording, send, on });
}

export { bytes, clean, mount, number, percent, seconds, short };
export default { render };
