// A menu, by the right button, the menu key or Shift+F10: one at a time, above everything else, walked with the arrow keys.
// An item is {label, act} or {label, more: items or what promises them}; `off` says why it cannot be chosen now.

function makeMenu(view) {
  const list = html("div", { class: "dgv-menu", role: "menu", tabindex: -1, popover: "manual", hidden: true, "data-lm-suppress-shortcuts": "true" });
  list.addEventListener("keydown", (event) => menuKey(view, event));
  list.addEventListener("contextmenu", (event) => event.preventDefault());
  view.menu = { list, levels: [], back: null, end: null };
  view.dom.svg.addEventListener("contextmenu", (event) => {
    const part = partOf(view, event.target);
    if (!part || !view.send || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (list.hidden || event.button === 2) openPartMenu(view, part, event.clientX || event.clientY ? [event.clientX, event.clientY] : null);
  });
  return list;
}

function openPartMenu(view, part, at = null) {
  rove(view, part);
  const box = part.group.getBoundingClientRect();
  openMenu(view, part.kind === "node" ? part.def.label : part.def.stream, itemsOf(view, part), at ?? [box.left + 12, box.bottom - 4], part.group);
}

function openMenu(view, title, items, at, back) {
  const { menu } = view;
  closeMenu(view, false);
  hideHover(view);
  menu.back = back;
  menu.levels = [{ title, items }];
  put(menu.list, "hidden", false);
  raise(menu.list, true);
  menu.at = at;
  const away = (event) => { if (!menu.list.contains(event.target)) closeMenu(view, false); };
  document.addEventListener("pointerdown", away, true);
  document.addEventListener("scroll", away, true);
  menu.end = () => {
    document.removeEventListener("pointerdown", away, true);
    document.removeEventListener("scroll", away, true);
  };
  drawMenu(view);
}

function closeMenu(view, refocus = true) {
  const { menu } = view;
  if (!menu || menu.list.hidden) return;
  menu.end();
  menu.levels = [];
  raise(menu.list, false);
  put(menu.list, "hidden", true);
  if (refocus) focusBack(menu.back);
}

// Above everything else on the page, where the browser can do that; else above the view.
function raise(element, on) {
  if (!element.showPopover || element.matches(":popover-open") === on) return;
  if (on) element.showPopover();
  else element.hidePopover();
}

function focusBack(element) {
  if (element?.isConnected) element.focus({ preventScroll: true });
}

function drawMenu(view) {
  const { menu } = view;
  const { title, items } = menu.levels[menu.levels.length - 1];
  const deeper = menu.levels.length > 1;
  const head = deeper ? menuItem(view, { label: title, back: true }) : html("div", { class: "dgv-menu-title", role: "presentation", dir: "auto" }, title);
  const entries = items.map((item) => (item ? menuItem(view, item) : html("div", { class: "dgv-menu-line", role: "separator" })));
  menu.list.replaceChildren(head, ...entries);
  put(menu.list, "aria-label", title);
  placeMenu(view);
  const first = entries.find((entry) => entry.tagName === "BUTTON" && entry.getAttribute("aria-disabled") !== "true") ?? head;
  (first.tagName === "BUTTON" ? first : menu.list).focus({ preventScroll: true });
}

function menuItem(view, item) {
  const words = html("bdi", { class: "dgv-menu-words" }, item.back ? `‹ ${item.label}` : item.label);
  const entry = html("button", {
    type: "button", role: "menuitem", tabindex: -1, class: item.back ? "dgv-menu-back" : null,
    "aria-disabled": item.off ? "true" : null, "aria-haspopup": item.more ? "menu" : null,
  }, words);
  const hint = item.off || item.hint;
  if (hint) entry.append(html("span", { class: "dgv-menu-hint", dir: "auto" }, hint));
  if (item.more) entry.append(html("span", { class: "dgv-menu-more", "aria-hidden": "true" }, "›"));
  entry.addEventListener("click", () => pickItem(view, item));
  entry.addEventListener("pointermove", () => entry.focus({ preventScroll: true }));
  return entry;
}

function pickItem(view, item) {
  if (item.off) return;
  if (item.back) return menuUp(view);
  if (item.more) return menuDown(view, item);
  closeMenu(view);
  item.act();
}

async function menuDown(view, item) {
  const { menu } = view;
  const level = { title: item.label.replace(/ ?…$/, ""), items: Array.isArray(item.more) ? item.more : [{ label: "Looking …", off: " " }] };
  menu.levels.push(level);
  drawMenu(view);
  if (Array.isArray(item.more)) return;
  const found = await item.more().catch((error) => [{ label: "This cannot be told", off: clean(error.message, 300) }]);
  level.items = found.length ? found : [{ label: "There is none", off: item.none ?? " " }];
  if (menu.levels[menu.levels.length - 1] === level) drawMenu(view);
}

function menuUp(view) {
  view.menu.levels.pop();
  if (view.menu.levels.length) drawMenu(view);
  else closeMenu(view);
}

// As near to the point as the window has room.
function placeMenu(view) {
  const { list, at } = view.menu;
  list.style.maxHeight = `${Math.max(120, innerHeight - 16)}px`;
  const box = list.getBoundingClientRect();
  const origin = list.showPopover ? { left: 0, top: 0 } : view.dom.root.getBoundingClientRect();
  const x = Math.max(8, Math.min(at[0], innerWidth - box.width - 8));
  const y = Math.max(8, at[1] + box.height > innerHeight - 8 ? Math.min(at[1] - box.height, innerHeight - box.height - 8) : at[1]);
  list.style.left = `${Math.round(x - origin.left)}px`;
  list.style.top = `${Math.round(y - origin.top)}px`;
}

function menuKey(view, event) {
  const { list } = view.menu;
  const entries = [...list.querySelectorAll("[role=menuitem]")];
  const at = entries.indexOf(document.activeElement);
  const go = (entry) => entry?.focus({ preventScroll: true }) ?? entry?.scrollIntoView({ block: "nearest" });
  const { key } = event;
  event.stopPropagation();
  if (key === "Enter" || key === " ") return;
  event.preventDefault();
  if (key === "ArrowDown") go(entries[(at + 1) % entries.length]);
  else if (key === "ArrowUp") go(entries[(at - 1 + entries.length) % entries.length]);
  else if (key === "Home") go(entries[0]);
  else if (key === "End") go(entries[entries.length - 1]);
  else if (key === "ArrowRight" && entries[at]?.getAttribute("aria-haspopup")) entries[at].click();
  else if (key === "ArrowLeft" && view.menu.levels.length > 1) menuUp(view);
  else if (key === "Escape") menuUp(view);
  else if (key === "Tab") closeMenu(view);
  else if (key.length === 1) go([...entries.slice(at + 1), ...entries.slice(0, at + 1)].find((entry) => entry.textContent.toLowerCase().startsWith(key.toLowerCase())));
}
