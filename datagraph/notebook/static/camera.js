// Pan, zoom and fit. The camera is a scale and an offset: screen = world * k + (x, y).

const ZOOM = { least: 0.02, most: 3 };
const TALLEST = 600;

function applyCamera(view) {
  const { x, y, k } = view.camera;
  put(view.dom.world, "transform", `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${k.toFixed(4)})`);
  setDetail(view);
  setSeen(view);
  hideHover(view);
}

// The whole picture, as large as the width allows and never larger than life; the stage is as high as that needs.
function fitCamera(view) {
  const { width, height } = view.scene;
  const room = view.dom.stage.clientWidth;
  if (!room) return;
  const byWidth = Math.min(1, room / Math.max(width, 1));
  const high = view.camera.high ?? Math.round(Math.min(TALLEST, Math.max(120, height * byWidth)));
  view.dom.stage.style.height = `${high}px`;
  Object.assign(view, { stageWidth: room, stageHeight: high });
  const k = Math.max(ZOOM.least, Math.min(byWidth, high / Math.max(height, 1)));
  Object.assign(view.camera, { k, x: (room - width * k) / 2, y: (high - height * k) / 2, own: false });
  applyCamera(view);
}

function zoomAt(view, factor, at) {
  const camera = view.camera;
  const { clientWidth, clientHeight } = view.dom.stage;
  const [px, py] = at ?? [clientWidth / 2, clientHeight / 2];
  const k = Math.min(ZOOM.most, Math.max(ZOOM.least, camera.k * factor));
  const by = k / camera.k;
  Object.assign(camera, { k, x: px - (px - camera.x) * by, y: py - (py - camera.y) * by, own: true });
  applyCamera(view);
}

function panBy(view, dx, dy) {
  view.camera.x += dx;
  view.camera.y += dy;
  view.camera.own = true;
  applyCamera(view);
}

// Brings a node or an edge into sight where it is not.
function reveal(view, part) {
  const box = part.def.plate ?? (part.kind === "node" ? part.def : null);
  if (!box) return;
  const { x, y, k } = view.camera;
  const { clientWidth, clientHeight } = view.dom.stage;
  const shift = (low, size, room) => (low < 8 ? 8 - low : low + size > room - 8 ? Math.max(8 - low, room - 8 - low - size) : 0);
  const dx = shift(box.x * k + x, box.w * k, clientWidth);
  const dy = shift(box.y * k + y, box.h * k, clientHeight);
  if (dx || dy) panBy(view, dx, dy);
}

function makeCamera(view) {
  const { stage } = view.dom;
  const fingers = new Map();
  let moved = 0;
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomAt(view, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0025)), place(event));
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button")) return;
    moved = 0;
    fingers.set(event.pointerId, place(event));
  });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    fingers.set(event.pointerId, now);
    if (fingers.size === 2) return pinch(view, fingers, event.pointerId, before, now);
    if (moved < 4) return;
    if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
    flag(stage, "dgv-grabbed", true);
    panBy(view, now[0] - before[0], now[1] - before[1]);
  });
  const lift = (event) => {
    fingers.delete(event.pointerId);
    flag(stage, "dgv-grabbed", false);
  };
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) stage.addEventListener(end, lift);
  stage.addEventListener("click", (event) => { if (moved >= 4) event.stopImmediatePropagation(); }, true);
}

function pinch(view, fingers, id, before, now) {
  const other = [...fingers].find(([finger]) => finger !== id)[1];
  const apart = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
  const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
  zoomAt(view, apart(now) / apart(before), middle);
  panBy(view, (now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
}

// The picture follows its width until its reader has moved it.
function watchSize(view) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    const now = view.dom.stage.clientWidth;
    const high = view.dom.stage.clientHeight;
    const own = Math.abs(high - (parseFloat(view.dom.stage.style.height) || high)) < 1; // not while it is only squeezed
    const dragged = own && view.camera.k && now === width && Math.abs(high - view.stageHeight) >= 1;
    if (dragged) view.camera.high = high;
    if (now) Object.assign(view, { stageWidth: now, stageHeight: high });
    if (!now || (now === width && view.camera.own)) return;
    width = now;
    if (!view.camera.own) fitCamera(view);
    fitSentence(view);
    fitTime(view);
  });
  observer.observe(view.dom.stage);
  return () => observer.disconnect();
}
