// Elements are made once; what changes is written only where it differs. Foreign text enters by `say` and `put` alone.

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const name in attributes) put(element, name, attributes[name]);
  if (parent) parent.append(element);
  return element;
}

function html(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const name in attributes) put(element, name, attributes[name]);
  element.append(...children);
  return element;
}

// Sets an attribute if it is another than before; null and false take it away.
function put(element, name, value) {
  const kept = (element.dgKept ??= {});
  if (kept[name] === value) return;
  kept[name] = value;
  if (value === null || value === false || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : value);
}

function say(element, text) {
  if (element.dgText === text) return;
  element.dgText = text;
  element.textContent = text;
}

function flag(element, name, on) {
  const kept = (element.dgFlags ??= {});
  if (kept[name] === on) return;
  kept[name] = on;
  element.classList.toggle(name, on);
}

// A sentence in which what stands between backticks is bold.
function saySentence(element, text) {
  if (element.dgText === text) return;
  element.dgText = text;
  const parts = text.split("`");
  if (parts.length % 2 === 0) element.textContent = text;
  else element.replaceChildren(...parts.map((part, i) => (i % 2 ? html("bdi", { class: "dgv-b" }, part) : part)));
}

const MARKS = {
  run: "M-3,-4.5L4.5,0L-3,4.5Z",
  wait: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
  pause: "M-2.5,-4V4M2.5,-4V4",
  done: "M-4.5,0L-1.5,3.5L4.5,-4",
  fail: "M-4,-4L4,4M-4,4L4,-4",
};

const SIGNS = {
  running: ["run", "work"],
  waiting: ["wait", "quiet"],
  paused: ["pause", "busy"],
  stopping: ["run", "quiet"],
  completed: ["done", "calm"],
  failed: ["fail", "full"],
  cancelled: ["fail", "quiet"],
  abandoned: ["fail", "quiet"],
  lost: ["fail", "full"],
};
const DONE = new Set(["ended", "done", "closed", "finished", "complete", "skipped"]);

// The mark and the colour of a status.
function sign(status, paused) {
  const key = paused ? "paused" : DONE.has(status) ? "completed" : status.split(" ").pop();
  return SIGNS[key] ?? SIGNS.waiting;
}

function putSign(element, [mark, colour]) {
  put(element, "d", MARKS[mark]);
  put(element, "class", `mark k-${colour}`);
}

// A lone sign for the HTML around the picture.
function signIcon() {
  const icon = svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true", class: "dgv-sign" });
  return [icon, svg("path", { class: "mark" }, icon)];
}

function button(label, title, act, more = {}) {
  const element = html("button", { type: "button", title, ...more }, label);
  element.addEventListener("click", act);
  return element;
}
