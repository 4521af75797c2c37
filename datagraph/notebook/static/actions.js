// What can be done to a node and to an edge: the items of their menus. What is not offered by the kernel is not shown.

const steers = (view) => Boolean(view.send && view.reached && view.live && !isOver(view.live));
const can = (view, call) => steers(view) && view.controls.has(call);
const changes = (view) => can(view, "plan") && can(view, "change");

function itemsOf(view, part) {
  const items = [{ label: view.chosen === part ? "Close the lens" : "Look into it", act: () => choose(view, part) }];
  const more = part.kind === "node" ? nodeItems(view, part) : edgeItems(view, part);
  return [...items, ...more];
}

function nodeItems(view, node) {
  if (node.def.kind !== "processor" || !steers(view)) return [];
  const { name } = node.def;
  const row = view.live.n[node.index];
  const paused = Boolean(row[view.N.paused]);
  const items = [null, paused ? { label: "Resume", act: () => act(view, "resume", name) } : { label: "Pause", act: () => act(view, "pause", name) }];
  if (can(view, "step")) {
    const off = paused || view.live.paused ? "" : "pause it first";
    for (const count of [1, 10, 100]) items.push({ label: `Step ${plural(count, "value", "values")}`, off, act: () => stepNode(view, name, count) });
  }
  const letters = row[view.N.dead_letters];
  if (can(view, "resend") && letters) items.push(null, { label: `Send ${plural(letters, "dead letter", "dead letters")} again`, act: () => resend(view, name) });
  if (!changes(view)) return items;
  items.push(null, { label: "Tune …", act: () => openTune(view, name) });
  if (view.offers.has(name)) items.push({ label: "Take its new function …", hint: "redefined", act: () => openSwap(view, name, name) });
  if (can(view, "known")) items.push({ label: "Swap by …", more: () => swapItems(view, node), none: "define a processor first" });
  items.push({ label: "Drop", act: () => propose(view, { edit: "drop", node: name }) });
  items.push({ label: "Disconnect", hint: "and what only it feeds", act: () => propose(view, { edit: "disconnect", node: name }) });
  return items;
}

function edgeItems(view, edge) {
  if (!steers(view)) return [];
  const { name, target, port } = edge.def;
  const reader = view.byName.get(target);
  const works = reader?.def.kind === "processor";
  const items = [];
  if (changes(view)) {
    items.push(null);
    if (can(view, "known")) items.push({ label: "Insert …", more: () => insertItems(view, edge), none: "define a processor with one input and one output" });
    if (works) items.push({ label: "Read another stream …", more: sourcesOf(view, edge).map((found) => streamItem(view, edge, found)) });
    items.push({ label: "Give it to another input …", more: targetsOf(view, edge).map((found) => portItem(view, edge, found)) });
    if (works && edge.def.capacity !== null) items.push({ label: "Capacity …", act: () => openTune(view, target, ["capacity"]) });
  }
  if (works && can(view, "seek")) items.push(null, { label: "Read again from …", act: () => openSeek(view, edge, target, port) });
  if (works && can(view, "breakpoint")) items.push(null, ...breakItems(view, edge));
  return items.map((item) => (Array.isArray(item?.more) && !item.more.length ? { ...item, more: undefined, off: "there is no other" } : item));
}

function streamItem(view, edge, found) {
  return { label: found.def.stream, hint: `from ${nameOf(view, found.def.source)}`, act: () => propose(view, moveSource(edge, found)) };
}

function portItem(view, edge, found) {
  return { label: `${nameOf(view, found.def.target)}.${clean(found.def.port, 80)}`, hint: `now ${found.def.stream}`, act: () => propose(view, moveTarget(view, edge, found)) };
}

async function known(view) {
  const { known: found } = await ask(view, { kind: "known" });
  return Array.isArray(found) ? found : [];
}

const shapeOf = (one) => `${(one.inputs ?? []).join(", ")} → ${(one.outputs ?? []).join(", ")}`;

// Those that fit come first; whether one of the others can be used, the plan says.
async function swapItems(view, node) {
  const reads = new Set(view.edges.filter((edge) => edge.def.target === node.def.name).map((edge) => edge.def.port));
  const fits = (one) => one.inputs.length === reads.size && one.inputs.every((port) => reads.has(port));
  const found = await known(view);
  return [...found].sort((a, b) => fits(b) - fits(a)).map((one) => ({
    label: clean(one.name, 80), hint: clean(shapeOf(one), 80), act: () => openSwap(view, node.def.name, one.name),
  }));
}

const isPassage = (one) => one.inputs.length === 1 && one.outputs.length === 1;

async function insertItems(view, edge) {
  return (await known(view)).filter(isPassage).map((one) => ({
    label: clean(one.name, 80), hint: clean(one.doc || shapeOf(one), 80), act: () => propose(view, { edit: "insert", by: one.name, edge: edge.def.name }),
  }));
}

function stepNode(view, node, count) {
  ask(view, { kind: "step", node, count }).then(
    () => report(view, [`${plural(count, "value", "values")} more through \`${clean(node, 80)}\`.`]),
    (error) => notice(view, clean(error.message, 500)),
  );
}

function resend(view, node) {
  ask(view, { kind: "resend", node }).then(
    ({ count }) => report(view, [`${plural(Number(count) || 0, "dead letter", "dead letters")} of \`${clean(node, 80)}\` sent again.`]),
    (error) => notice(view, clean(error.message, 500)),
  );
}

// The menu of what the lens shows, for those without a right button.
function openActions(view, part, place) {
  const box = place.getBoundingClientRect();
  openMenu(view, part.kind === "node" ? part.def.label : part.def.stream, itemsOf(view, part).slice(1).filter((item, i) => item || i), [box.left, box.bottom + 2], place);
}
