// What the kernel says and hears. Every message is one of the few kinds below; what is not known is passed over.

const BUSY_AFTER = 1500;
const STALE_AFTER = 3000;
const ALIVE_EVERY = 2000;
const BUSY = "The kernel is busy; it will hear this when the cell ends.";
const ALONE = "No kernel answers: this is what was saved.";

function hear(view, message) {
  if (!message || typeof message !== "object") return;
  view.reached = true;
  if (message.kind === "tick") hearTick(view, parsed(message.tick));
  else if (message.kind === "scene") {
    hearControls(view, message.controls);
    hearOffers(view, message.offers);
    hearScene(view, message.scene);
  }
  else if (message.kind === "offers") hearOffers(view, message.offers);
  else if (message.kind === "recording") hearRecording(view, message.recording);
  else if (message.kind === "stale") hearStale(view, message);
  else if (message.kind === "ended") redrawNow(view);
  else if (message.kind === "reply") hearReply(view, message);
}

function hearTick(view, tick) {
  if (!tick || tick.n?.length !== view.scene.nodes.length || tick.e?.length !== view.scene.edges.length) return;
  if (!remember(view, tick)) return;
  const before = view.live;
  view.live = tick;
  view.heard = performance.now();
  view.stale = view.staleWhy = "";
  if (!before || before.bottleneck !== tick.bottleneck || before.status !== tick.status || before.paused !== tick.paused || isHeldElsewhere(view, before, tick)) view.hurry = true;
  redraw(view);
}

// What the kernel has recorded takes the place of what was seen here: of another run, or while this view rested.
function hearRecording(view, recording) {
  loadHistory(view, recording, null);
  if (view.past) view.past = tickAt(view, view.past.elapsed);
  view.heard = performance.now();
  redrawNow(view);
}

function hearScene(view, scene) {
  if (!scene?.nodes || !scene?.edges || JSON.stringify(scene) === JSON.stringify(view.scene)) return;
  changeScene(view, scene);
}

// What the kernel lets be done from here, besides pausing and stopping.
function hearControls(view, calls) {
  view.controls = new Set(Array.isArray(calls) ? calls : []);
  redrawNow(view);
}

// The nodes whose functions were defined again in the kernel, and wait to be swapped in.
function hearOffers(view, nodes) {
  view.offers = new Set(Array.isArray(nodes) ? nodes : []);
  redrawNow(view);
}

function hearStale(view, message) {
  view.stale = `stale for ${seconds(Math.max(0, Number(message.seconds) || 0))}`;
  view.staleWhy = clean(message.reason, 300);
  redraw(view);
}

function hearReply(view, message) {
  const waiting = view.waiting.get(message.id);
  if (!waiting) return;
  view.waiting.delete(message.id);
  clearTimeout(waiting.timer);
  if (![...view.waiting.values()].some((one) => one.late)) notice(view, "");
  if (message.ok) waiting.done(message.data ?? {});
  else waiting.failed(clean(message.error || "it could not be done", 500));
}

// Asks the kernel for something; a promise of its answer. Where it does not hear at once, the view says so.
function ask(view, message) {
  if (!view.send) return Promise.reject(new Error("no kernel is connected to this picture"));
  const id = ++view.asked;
  return new Promise((done, failed) => {
    const waiting = { done, failed: (why) => failed(new Error(why)), late: false };
    waiting.timer = setTimeout(() => {
      waiting.late = true;
      notice(view, view.reached ? BUSY : ALONE);
    }, BUSY_AFTER);
    view.waiting.set(id, waiting);
    view.send({ ...message, id });
  });
}

function act(view, action, node = "") {
  return ask(view, { kind: "do", action, node }).then(
    () => redraw(view),
    (error) => notice(view, clean(error.message, 500)),
  );
}

// Tells the kernel that somebody looks, and the reader when nothing comes any more.
function keepAlive(view) {
  const timer = setInterval(() => {
    if (!view.awake) return;
    view.send?.({ kind: "alive" });
    const quiet = performance.now() - view.heard;
    if (view.reached && view.live && !isOver(view.live) && quiet > STALE_AFTER && !view.staleWhy) view.stale = `stale for ${seconds(quiet / 1000)}`;
    redraw(view);
  }, ALIVE_EVERY);
  return () => clearInterval(timer);
}

// Rests while hidden or out of sight, and looks at once when it is seen again.
function watchSight(view) {
  let seen = true;
  const update = () => {
    const awake = seen && !document.hidden;
    if (awake === view.awake) return;
    view.awake = awake;
    setMoving(view);
    if (!awake) return;
    view.heard = performance.now();
    view.send?.({ kind: "alive" });
    redraw(view);
  };
  const observer = new IntersectionObserver((entries) => {
    seen = entries[entries.length - 1].isIntersecting;
    update();
  });
  observer.observe(view.dom.root);
  document.addEventListener("visibilitychange", update);
  return () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", update);
  };
}

function redrawNow(view) {
  view.hurry = true;
  view.told = -Infinity;
  if (view.frame < 0) {
    clearTimeout(-view.frame);
    view.frame = 0;
  }
  redraw(view);
}
