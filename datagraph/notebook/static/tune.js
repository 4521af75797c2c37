// Forms: sliders for what of a processor can be turned while it runs, and the position from which an input is read again.
// An empty field is "no limit". The diff follows every move of a slider.

const KNOBS = [
  { name: "concurrency", label: "Concurrency", least: 1, most: 16, unit: "at once" },
  { name: "workers", label: "Workers", least: 1, most: 8, unit: "copies" },
  { name: "capacity", label: "Capacity", least: 1, most: 100_000, log: true, unit: "values may wait" },
  { name: "rate", label: "Rate", least: 0.1, most: 100_000, log: true, open: true, unit: "attempts/s" },
  { name: "retries", label: "Retries", least: 0, most: 10, unit: "more attempts" },
  { name: "timeout", label: "Timeout", least: 0.1, most: 3600, log: true, open: true, unit: "s an attempt" },
];
const ON_ERROR = ["fail", "dead_letter", "skip", "pause"];

function openTune(view, node, only = null) {
  const { change } = view;
  startChange(view, `Tune \`${clean(node, 80)}\``);
  const turn = change.turn;
  ask(view, { kind: "knobs", node }).then(
    ({ knobs = {}, settings = {} }) => { if (turn === change.turn) fillTune(view, node, knobs, settings, only); },
    (error) => { if (turn === change.turn) sayChange(view, "This cannot be done:", [], [error.message]); },
  );
}

function fillTune(view, node, values, settings, only) {
  const { change } = view;
  const turned = new Map();
  const turn = (name, value) => {
    if (value === undefined || Object.is(value, values[name] ?? null)) turned.delete(name);
    else turned.set(name, value);
    change.filled = turned.size ? { edit: "tune", node, changes: Object.fromEntries(turned) } : null;
    planSoon(view);
  };
  const shown = KNOBS.filter(({ name, open }) => (!only || only.includes(name)) && (open || typeof values[name] === "number"));
  const rows = shown.map((knob) => knobRow(knob, values[knob.name] ?? null, (value) => turn(knob.name, value)));
  if (!only) rows.push(choiceRow("on_error", "After the last attempt", ON_ERROR, values.on_error, (value) => turn("on_error", value)));
  if (!only) for (const [name, value] of Object.entries(settings)) rows.push(settingRow(name, value, (now) => turn(name, Object.is(now, value) ? undefined : now)));
  change.form.replaceChildren(...rows);
  change.form.querySelector("input")?.focus({ preventScroll: true });
}

// A slider and a number that say the same; the slider of what has no limit ends at "no limit".
function knobRow({ name, label, least, most, log, open, unit }, value, turn) {
  const top = Math.max(most, value ? value * (log ? 10 : 2) : 0);
  const whole = !open;
  const place = (at) => (at === null ? 1000 : log ? (Math.log(Math.max(at, least) / least) / Math.log(top / least)) * 980 : ((at - least) / (top - least)) * 980);
  const read = (at) => {
    if (open && at > 990) return null;
    const share = Math.min(at / 980, 1);
    const found = log ? least * (top / least) ** share : least + (top - least) * share;
    return whole ? Math.round(found) : Number(found.toPrecision(2));
  };
  const id = uniqueId();
  const slider = html("input", { type: "range", min: 0, max: open ? 1000 : 980, step: log ? 1 : 980 / (top - least), "aria-label": label });
  const field = html("input", { id, type: "number", min: least, step: whole ? 1 : "any", placeholder: open ? "no limit" : null });
  const show = (at, by) => {
    if (by !== slider) slider.value = place(at);
    if (by !== field) field.value = at ?? "";
    put(slider, "aria-valuetext", at === null ? "no limit" : `${at} ${unit}`);
  };
  show(value);
  slider.addEventListener("input", () => { const at = read(Number(slider.value)); show(at, slider); turn(at); });
  field.addEventListener("input", () => {
    const at = field.value === "" ? (open ? null : undefined) : Number(field.value);
    if (field.validity.badInput || Number.isNaN(at)) return;
    if (at !== undefined) show(at, field);
    turn(at);
  });
  return html("div", { class: "dgv-form-row" }, html("label", { for: id }, label), slider, field, html("span", { class: "dgv-caption" }, unit));
}

function choiceRow(name, label, choices, value, turn) {
  const id = uniqueId();
  const select = html("select", { id }, ...choices.map((choice) => html("option", { value: choice, selected: choice === value }, choice.replace("_", " "))));
  select.addEventListener("change", () => turn(select.value));
  return html("div", { class: "dgv-form-row" }, html("label", { for: id }, label), select);
}

// What a setting is that was never tuned, only the process knows; empty leaves it. A number, true, false or null is one, all else is text.
function settingRow(name, value, turn) {
  const id = uniqueId();
  const field = html("input", { id, type: "text", placeholder: "as it is", value: value ?? null });
  field.addEventListener("input", () => turn(field.value.trim() === "" ? undefined : valueOf(field.value.trim())));
  return html("div", { class: "dgv-form-row" }, html("label", { for: id, dir: "auto" }, clean(name, 80)), field, html("span", { class: "dgv-caption" }, "setting"));
}

function valueOf(text) {
  try {
    return JSON.parse({ True: "true", False: "false", None: "null" }[text] ?? text);
  } catch {
    return text;
  }
}

// A swap goes on with the state of the function before, unless it is asked to start afresh.
function openSwap(view, node, by) {
  const { change } = view;
  startChange(view);
  const id = uniqueId();
  const fresh = html("input", { id, type: "checkbox" });
  const fill = () => {
    change.filled = { edit: "swap", node, by, fresh: fresh.checked };
    plan(view);
  };
  fresh.addEventListener("change", fill);
  change.form.replaceChildren(html("div", { class: "dgv-form-row" }, html("label", { for: id, class: "dgv-check" }, fresh, "Start without the state of the one before")));
  fill();
}

let ids = 0;
const uniqueId = () => `dgv-field-${++ids}`;

function openSeek(view, edge, node, port) {
  const row = view.live.e[edge.index];
  const written = Number(row[view.E.written]) || 0;
  let position = Math.min(Number(row[view.E.read]) || 0, written);
  const name = `\`${nameOf(view, node)}.${clean(port, 80)}\``;
  startChange(view, `Read ${name} again, from which value on?`, () => seek(view, node, port, position), "Read from there");
  const knob = { name: "position", label: "Position", least: 0, most: Math.max(1, written), unit: `of ${number(written)} written` };
  const show = () => sayChange(view, `Read ${name} again, from which value on?`, [], [], true);
  view.change.form.replaceChildren(knobRow({ ...knob }, position, (at) => {
    position = Math.max(0, Math.round(at ?? 0));
    show();
  }));
  show();
  view.change.form.querySelector("input")?.focus({ preventScroll: true });
}

function seek(view, node, port, position) {
  const { change } = view;
  const turn = ++change.turn;
  ask(view, { kind: "seek", node, port, position }).then(
    () => { if (turn === change.turn) done(view, `\`${nameOf(view, node)}\` reads on from ${number(position)}.`, [], "", false); },
    (error) => { if (turn === change.turn) sayChange(view, "Nothing was changed:", [], [error.message], true); },
  );
}
