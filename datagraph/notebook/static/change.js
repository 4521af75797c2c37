// A change before it is made: what it would do, in sentences, why it cannot be; then Apply, Cancel, Copy as Python. Several
// edits gather into one change until it is applied or cancelled. After it: how long it took, and Undo.

const PLAN_AFTER = 180;

function makeChange(view) {
  const state = html("p", { class: "dgv-change-state", role: "status" });
  const lines = html("ul", { class: "dgv-change-lines" });
  const problems = html("ul", { class: "dgv-change-problems", role: "alert" });
  const form = html("div", { class: "dgv-form" });
  const apply = button("Apply", "Make this change while the run goes on", () => view.change.primary?.(), { class: "dgv-primary" });
  const less = button("Without the last", "Leave the last edit out", () => dropLast(view));
  const copy = button("Copy as Python", "Copy the Python that does the same", () => copyText(view, copy, view.change.code));
  const undo = button("Undo", "Take this change back", () => undoChange(view));
  const cancel = button("Cancel", "Change nothing (Escape)", () => closeChange(view));
  const head = html("div", { class: "dgv-change-head" }, state, html("span", { class: "dgv-buttons" }, apply, undo, copy, less, cancel));
  const panel = html("section", { class: "dgv-change", role: "dialog", "aria-label": "Change", tabindex: -1, hidden: true, "data-lm-suppress-shortcuts": "true" }, head, html("div", { class: "dgv-change-body" }, form, html("div", { class: "dgv-change-said" }, lines, problems)));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      closeChange(view);
    } else if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && event.target.tagName === "INPUT" && !apply.disabled) apply.click();
    event.stopPropagation();
  });
  view.change = { panel, state, lines, problems, form, apply, undo, copy, less, cancel, edits: [], filled: null, code: "", turn: 0, timer: 0, primary: null, back: "", asks: false };
  return panel;
}

// Adds an edit to the change that is being made, and shows what it would do.
function propose(view, edit) {
  const { change } = view;
  if (!change.asks || change.primary !== applyAsked(view)) startChange(view);
  change.edits.push(edit);
  plan(view);
}

const allEdits = ({ edits, filled }) => (filled ? [...edits, filled] : edits);

function applyAsked(view) {
  return (view.change.applies ??= () => apply(view));
}

// An empty panel for a change; what it gives the focus back to is the part that has it now.
function startChange(view, title = "A change", primary = applyAsked(view), label = "Apply") {
  const { change } = view;
  clearTimeout(change.timer);
  const keep = change.asks && change.primary === primary ? allEdits(change) : [];
  Object.assign(change, { edits: keep, filled: null, code: "", primary, asks: true, turn: change.turn + 1, back: view.roving?.def.name ?? "" });
  change.form.replaceChildren();
  put(change.panel, "hidden", false);
  say(change.apply, label);
  sayChange(view, title, [], []);
  change.panel.focus({ preventScroll: true });
}

function sayChange(view, state, lines, problems, ready = false) {
  const { change } = view;
  const held = change.panel.contains(document.activeElement);
  saySentence(change.state, state);
  sayList(change.lines, lines);
  sayList(change.problems, problems);
  put(change.apply, "hidden", !change.asks);
  put(change.apply, "disabled", !ready);
  put(change.cancel, "title", change.asks ? "Change nothing (Escape)" : "Close (Escape)");
  say(change.cancel, change.asks ? "Cancel" : "Close");
  put(change.copy, "hidden", !change.code);
  put(change.less, "hidden", !change.asks || change.edits.length < 2);
  put(change.undo, "hidden", change.asks || !change.undoable);
  flag(change.panel, "dgv-refused", problems.length > 0);
  const lost = held && (document.activeElement === document.body || document.activeElement === change.panel || document.activeElement?.hidden || document.activeElement?.disabled);
  if (lost) focusBack(!change.asks ? change.cancel : ready ? change.apply : change.panel);
}

function sayList(list, texts) {
  const items = texts.map((text) => {
    const item = html("li", { dir: "auto" });
    saySentence(item, clean(text, 800));
    return item;
  });
  list.replaceChildren(...items);
  put(list, "hidden", !texts.length);
}

// Asks what the edits would do; an answer to an older question is passed over. What is being done is not asked about:
// the graph that it makes may come before the word that it was made.
function plan(view) {
  const { change } = view;
  if (change.doing) return;
  const turn = ++change.turn;
  const edits = allEdits(change);
  change.code = "";
  if (!edits.length) return sayChange(view, "Nothing is changed yet.", [], []);
  ghost(view, edits);
  disable(change, change.apply);
  if (!change.lines.childElementCount && !change.problems.childElementCount) sayChange(view, "Looking what it would do …", [], []);
  ask(view, { kind: "plan", edits }).then(
    ({ lines = [], problems = [], code = "" }) => {
      if (turn !== change.turn) return;
      change.code = code;
      const what = change.filled?.edit === "tune" && edits.length === 1 ? `Tuning \`${clean(change.filled.node, 80)}\`` : "This";
      const state = problems.length ? `${what} cannot be done:` : lines.length ? `${what} would change:` : `${what} changes nothing.`;
      sayChange(view, state, problems.length ? [] : lines, problems, !problems.length && lines.length > 0);
    },
    (error) => { if (turn === change.turn) sayChange(view, "This cannot be done:", [], [error.message]); },
  );
}

function planSoon(view) {
  clearTimeout(view.change.timer);
  disable(view.change, view.change.apply);
  view.change.timer = setTimeout(() => plan(view), PLAN_AFTER);
}

function dropLast(view) {
  view.change.edits.pop();
  plan(view);
}

function apply(view) {
  const { change } = view;
  const turn = ++change.turn;
  disable(change, change.apply);
  clearTimeout(change.timer);
  change.doing = true;
  ask(view, { kind: "change", edits: allEdits(change) }).then(
    ({ lines = [], ms = 0, code = "" }) => { if (turn === change.turn) done(view, `Applied in ${milliseconds(ms)}.`, lines, code, true); },
    (error) => { if (turn === change.turn) sayChange(view, "Nothing was changed:", [], [error.message], true); },
  ).finally(() => { change.doing = false; });
}

// A button that cannot be pressed now does not keep the focus: the panel does.
function disable({ panel }, place) {
  if (document.activeElement === place) panel.focus({ preventScroll: true });
  put(place, "disabled", true);
}

const milliseconds = (ms) => (ms < 1000 ? `${Number(ms).toFixed(ms < 10 ? 1 : 0)} ms` : seconds(ms / 1000));

function undoChange(view) {
  const { change } = view;
  disable(change, change.undo);
  ask(view, { kind: "undo" }).then(
    ({ lines = [], ms = 0 }) => {
      const said = `Undone in ${milliseconds(ms)}.`;
      if (change.asks) notice(view, said);
      else done(view, said, lines, "", false);
    },
    (error) => report(view, [], [error.message]),
  ).finally(() => put(change.undo, "disabled", false));
}

function done(view, state, lines, code, undoable) {
  const { change } = view;
  Object.assign(change, { edits: [], filled: null, code, asks: false, undoable: undoable && can(view, "undo") });
  change.form.replaceChildren();
  ghost(view, []);
  put(change.panel, "hidden", false);
  sayChange(view, state, lines, []);
}

// Says what came of something that needed no plan.
function report(view, [state = "Nothing was changed:", ...lines], problems = []) {
  const { change } = view;
  if (change.asks) return notice(view, problems[0] ?? state);
  Object.assign(change, { asks: false, undoable: false, code: "" });
  change.form.replaceChildren();
  put(change.panel, "hidden", false);
  sayChange(view, state, lines, problems);
}

function closeChange(view) {
  const { change } = view;
  if (change.panel.hidden) return;
  const held = change.panel.contains(document.activeElement);
  clearTimeout(change.timer);
  Object.assign(change, { edits: [], filled: null, asks: false, turn: change.turn + 1 });
  ghost(view, []);
  put(change.panel, "hidden", true);
  if (held) focusBack((partNamed(view, change.back) ?? view.roving)?.group);
}

function partNamed(view, name) {
  return view.byName.get(name) ?? view.edges.find((edge) => edge.def.name === name) ?? null;
}

// What the edits are about is marked in the picture: what goes, what comes in between, which line moves where.
function ghost(view, edits) {
  view.dom.ghosts.replaceChildren();
  for (const part of [...view.nodes, ...view.edges]) markGhost(part, "");
  for (const { edit, node, edge, source, target } of edits) {
    const part = partNamed(view, edge ?? node);
    if (!part) continue;
    markGhost(part, edit === "drop" || edit === "disconnect" ? "going" : "touched");
    if (edit !== "move") continue;
    const from = source ? view.edges.find((one) => streamOf(one) === source) : part;
    const to = target ? view.edges.find((one) => portOf(one) === target) : part;
    if (from && to) svg("path", { class: "dgv-ghost", d: curve(view, startOf(from), endOf(to)) }, view.dom.ghosts);
  }
}

function markGhost(part, how) {
  for (const element of part.line ? [part.group, part.line] : [part.group]) {
    flag(element, "dgv-going", how === "going");
    flag(element, "dgv-touched", how === "touched");
  }
}
