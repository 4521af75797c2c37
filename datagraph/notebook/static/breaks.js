// Breakpoints: a mark at an edge whose reader stops where a condition is true, and, in the lens, what it holds and what
// becomes of it. A mark is hollow while nothing is held, filled with two bars while something is, crossed when it is broken.

const STOP = "M-3.3,-8H3.3L8,-3.3V3.3L3.3,8H-3.3L-8,3.3V-3.3Z";
const FUNCTION = /^(a|the) function\b/; // the condition is none that could be written
const STOP_SIGNS = { waits: "M-0.1,0H0.1", stands: "M-2.6,-3.2V3.2M2.6,-3.2V3.2", broken: "M-2.8,-2.8L2.8,2.8M-2.8,2.8L2.8,-2.8" };
const MAY = "Over value and position, as in Python: == < in and or not, value[…], value.name, + - / // %, len abs min max round str int float type_name";

function breakOf(view, row) {
  const found = row?.[view.E.breakpoint];
  return found && typeof found === "object" ? found : null;
}

const stands = (found) => Boolean(found) && typeof found.position === "number";
const howItIs = (found) => (found.error ? "broken" : stands(found) ? "stands" : "waits");

// What is held at an edge, in few words; nothing where nothing is.
function heldAt(view, row) {
  const found = breakOf(view, row);
  return stands(found) ? `held at ${number(found.position)}` : "";
}

// Whether another value is held than before, or none any more.
function isHeldElsewhere(view, before, tick) {
  return tick.e.some((row, i) => (breakOf(view, row)?.position ?? null) !== (breakOf(view, before.e[i])?.position ?? null));
}

function tellBreak(view, row) {
  const found = breakOf(view, row);
  if (!found) return "";
  const how = found.error ? `failed: ${clean(found.error, 120)}` : stands(found) ? `holds value ${number(found.position)}, ${clean(found.value, 120)}` : "holds nothing now";
  return `breakpoint where ${clean(found.condition, 120)}, ${plural(Number(found.hits) || 0, "hit", "hits")}, ${how}`;
}

function makeStop(edge) {
  const place = svg("g", { class: "dgv-stop", transform: `translate(${edge.def.plate.w - 1},1)`, display: "none" }, edge.group);
  const scaled = svg("g", {}, place);
  svg("path", { d: STOP }, scaled);
  edge.stop = { place, sign: svg("path", {}, scaled) };
}

function drawStop(view, edge, row) {
  const found = breakOf(view, row);
  put(edge.stop.place, "display", found ? null : "none");
  if (!found) return;
  put(edge.stop.sign, "d", STOP_SIGNS[howItIs(found)]);
  flag(edge.stop.place, "dgv-stands", stands(found));
}

// The items of an edge's menu.
function breakItems(view, edge) {
  const found = breakOf(view, view.live.e[edge.index]);
  if (!found) return [{ label: "Break where …", act: () => openBreak(view, edge) }];
  const items = [{ label: "Change the breakpoint …", hint: clean(found.condition, 60), act: () => openBreak(view, edge, found.condition) }];
  items.push({ label: "Remove the breakpoint", act: () => setBreak(view, edge, null) });
  if (!stands(found)) return items;
  const what = `value ${number(found.position)}`;
  const now = (verdict) => () => decide(view, edge, verdict, found.position).catch((error) => notice(view, error.message));
  const go = { label: `Let ${what} go on`, act: now("go") };
  const drop = { label: `Drop ${what}`, act: now("drop") };
  const edit = { label: `Edit ${what} …`, act: () => editHeld(view, edge) };
  return [go, drop, edit, null, ...items];
}

// The question for a condition, in the panel of changes; what is wrong with it is said beneath.
function openBreak(view, edge, before = "") {
  const { name, target, stream } = edge.def;
  const title = `Hold \`${nameOf(view, target)}\` at each value of \`${stream}\` where …`;
  const id = uniqueId();
  const field = html("input", { id, type: "text", class: "dgv-code", maxlength: 500, spellcheck: "false", autocomplete: "off", placeholder: 'value["price"] > 100', "aria-describedby": `${id}-may` });
  field.value = FUNCTION.test(before) ? "" : before;
  const asked = () => field.value.trim();
  startChange(view, title, () => setBreak(view, edge, asked(), field), "Break there");
  const show = () => {
    put(field, "aria-invalid", null);
    view.change.code = asked() ? `run.breakpoint(${JSON.stringify(name)}, ${JSON.stringify(asked())})` : "";
    sayChange(view, title, [], [], Boolean(asked()));
  };
  field.addEventListener("input", show);
  view.change.form.replaceChildren(
    html("div", { class: "dgv-form-row dgv-wide" }, html("label", { for: id }, "Condition"), field),
    html("div", { class: "dgv-form-row dgv-wide" }, html("span", {}), html("span", { id: `${id}-may`, class: "dgv-caption" }, MAY)));
  show();
  field.focus({ preventScroll: true });
}

function setBreak(view, edge, where, field = null) {
  const { change } = view;
  const turn = ++change.turn;
  ask(view, { kind: "breakpoint", edge: edge.def.name, where }).then(
    ({ code = "" }) => {
      const who = `\`${nameOf(view, edge.def.target)}\``;
      if (where === null) report(view, [`${who} stops no more at \`${edge.def.stream}\`.`]);
      else if (turn === change.turn) done(view, `${who} stops at \`${edge.def.stream}\` where ${clean(where, 200).replaceAll("`", "'")}.`, [], code, false);
    },
    (error) => {
      if (field?.isConnected && turn === change.turn) {
        put(field, "aria-invalid", "true");
        sayChange(view, "No breakpoint was set:", [], [error.message], true);
        field.focus({ preventScroll: true });
      } else report(view, [], [error.message]);
    },
  );
}

function decide(view, edge, verdict, position, value) {
  return ask(view, { kind: "decide", edge: edge.def.name, verdict, position, ...(value === undefined ? {} : { value }) });
}

function editHeld(view, edge) {
  if (view.chosen !== edge) choose(view, edge);
  view.lens?.stop?.edit();
}

// In the lens of an edge: the condition, the value that is held, and the buttons that decide about it. Made with the lens;
// the buttons stay where they are when nothing is held, so that the next value is decided by the same key.
function makeBreakBox(view, edge) {
  const act = (verdict) => {
    const { found } = box;
    if (!stands(found) || box.busy !== null || view.past || !can(view, "decide")) return;
    box.busy = found.position;
    decide(view, edge, verdict, found.position).then(
      () => say(box.wrong, ""),
      (error) => { box.busy = null; say(box.wrong, error.message); },
    );
    drawBreakBox(view, box);
  };
  const sign = svg("path", {});
  const mark = svg("svg", { class: "dgv-stop-mark", width: 20, height: 20, viewBox: "-10 -10 20 20", "aria-hidden": "true" }, null);
  mark.append(svg("path", { d: STOP }), sign);
  const condition = html("code", { dir: "auto" });
  const hits = html("span", { class: "dgv-facts" });
  const change = button("Change …", "Another condition", () => openBreak(view, edge, box.found?.condition));
  const remove = button("Remove", "Hold nothing more; what is held goes on", () => setBreak(view, edge, null));
  const copy = button("Copy as Python", "Copy the Python that does the same", () => copyText(view, copy, pythonOf(edge, box.found)));
  const head = html("div", { class: "dgv-break-row" }, mark, html("b", {}, "Breakpoint"), condition, hits);
  const said = html("span", {});
  const value = html("code", { class: "dgv-break-value", dir: "auto" });
  const go = button("Go on", "Let this value go on as it is", () => act("go"), { class: "dgv-primary" });
  const drop = button("Drop", "Pass this value over: the processor never gets it", () => act("drop"));
  const edit = button("Edit …", "Give the processor another value in its place", () => box.edit(), { "aria-expanded": "false" });
  const buttons = html("div", { class: "dgv-break-row" }, go, drop, edit, html("span", { class: "dgv-buttons" }, change, copy, remove));
  const held = html("p", { class: "dgv-break-held", role: "status" }, said, " ", value);
  const wrong = html("p", { class: "dgv-break-wrong", role: "alert" });
  const form = html("div", { class: "dgv-break-form", hidden: true });
  const element = html("div", { class: "dgv-break", role: "group", "aria-label": "Breakpoint", hidden: true, "data-lm-suppress-shortcuts": "true" }, head, held, buttons, form, wrong);
  const box = { edge, element, mark, sign, condition, hits, said, value, deciding: [go, drop, edit], change, remove, edit: () => editInBox(view, edge, box), editButton: edit, form, wrong, found: null, busy: null };
  return box;
}

function putBreakBox(view, edge) {
  const { lens } = view;
  lens.stop = makeBreakBox(view, edge);
  const column = html("div", { class: "dgv-looked" });
  lens.answer.replaceWith(column);
  column.append(lens.stop.element, lens.answer);
}

function drawBreakBox(view, box) {
  const found = breakOf(view, (view.past ?? view.live)?.e[box.edge.index]);
  box.found = found;
  put(box.element, "hidden", !found);
  if (!found) return;
  const held = stands(found);
  if (box.busy !== null && box.busy !== found.position) box.busy = null;
  put(box.sign, "d", STOP_SIGNS[howItIs(found)]);
  flag(box.mark, "dgv-stands", held);
  say(box.condition, clean(found.condition, 500));
  put(box.condition, "title", clean(found.condition, 500));
  say(box.hits, plural(Number(found.hits) || 0, "hit", "hits"));
  say(box.said, found.error ? `It holds nothing more: ${clean(found.error, 300)}` : held ? `Value ${number(found.position)} is held:` : "No value is held now.");
  say(box.value, held ? clean(found.value, 200) : "");
  const steered = can(view, "decide") && !view.past;
  for (const one of box.deciding) {
    put(one, "hidden", !can(view, "decide"));
    put(one, "aria-disabled", steered && held && box.busy === null ? null : "true");
  }
  for (const one of [box.change, box.remove]) put(one, "hidden", !can(view, "breakpoint"));
  if (!held && !box.form.hidden) closeEdit(box);
}

function pythonOf(edge, found) {
  const name = JSON.stringify(edge.def.name);
  const { condition = "" } = found ?? {};
  const stop = `stop = ${FUNCTION.test(condition) ? `run.breakpoints[${name}]` : `run.breakpoint(${name}, ${JSON.stringify(condition)})`}`;
  return `${stop}\nhit = stop.wait()\nhit.go()  # or hit.drop(), hit.replace(value); stop.remove()`;
}

// The held value as JSON in a field of its own; what is written there takes its place.
function editInBox(view, edge, box) {
  const { found } = box;
  if (!stands(found) || !can(view, "decide") || view.past) return;
  const field = html("textarea", { class: "dgv-code", rows: 3, spellcheck: "false", "aria-label": `Value ${number(found.position)} as JSON` });
  const note = html("span", { class: "dgv-caption" }, "Looking …");
  const { position } = found;
  const replace = button("Replace", "Give the processor this value (Ctrl+Enter)", () => {
    decide(view, edge, "replace", position, field.value).then(
      () => { say(box.wrong, ""); closeEdit(box); },
      (error) => { say(box.wrong, error.message); put(field, "aria-invalid", "true"); });
  }, { class: "dgv-primary" });
  const cancel = button("Cancel", "Leave it as it is (Escape)", () => closeEdit(box));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeEdit(box);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) replace.click();
    else { event.stopPropagation(); return; }
    event.preventDefault();
    event.stopPropagation();
  });
  box.form.replaceChildren(field, html("div", { class: "dgv-break-row" }, note, html("span", { class: "dgv-buttons" }, replace, cancel)));
  put(box.form, "hidden", false);
  put(box.editButton, "aria-expanded", "true");
  say(box.wrong, "");
  field.focus({ preventScroll: true });
  ask(view, { kind: "held", edge: edge.def.name }).then(
    (held) => {
      if (held.position !== position || field.value) return say(note, "");
      if (typeof held.json === "string") field.value = held.json;
      say(note, typeof held.json === "string" ? "JSON: a text in quotes, a record as {\"name\": …}" : `JSON cannot carry it as it is, so write what shall be in its place: ${clean(held.text, 1000)}`);
    },
    (error) => say(note, clean(error.message, 300)),
  );
}

function closeEdit(box) {
  const held = box.form.contains(document.activeElement);
  put(box.form, "hidden", true);
  put(box.editButton, "aria-expanded", "false");
  box.form.replaceChildren();
  say(box.wrong, "");
  if (held) focusBack(box.editButton);
}
