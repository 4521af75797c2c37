// What the kernel answers to the lens, as tables and text. All of it is the user's own data: never read as markup.

const MOST_ROWS = 50;
const MOST_COLUMNS = 42;
const MOST_CHARS = 200;
const MOST_TEXT = 20_000;

function valueTable(columns, rows, label) {
  const table = html("table", { "aria-label": label });
  const heads = columns.slice(0, MOST_COLUMNS).map((column) => html("th", { scope: "col", dir: "auto" }, clean(column, 80)));
  table.append(html("thead", {}, html("tr", {}, ...heads)));
  const body = html("tbody", {});
  for (const row of rows.slice(0, MOST_ROWS)) {
    const cells = row.slice(0, MOST_COLUMNS).map((cell) => html("td", { dir: "auto" }, clean(cell, MOST_CHARS)));
    body.append(html("tr", {}, ...cells));
  }
  table.append(body);
  return table;
}

function keepScroll(box, ...children) {
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const inner = box.querySelector(".dgv-scroll");
  const at = [box.scrollTop, inner?.scrollTop ?? 0, inner?.scrollLeft ?? 0];
  const open = new Set([...box.querySelectorAll("details")].filter((one) => !one.open).map((one) => one.dataset.key));
  box.replaceChildren(...children);
  for (const one of box.querySelectorAll("details")) if (open.has(one.dataset.key)) one.open = false;
  const now = box.querySelector(".dgv-scroll");
  box.scrollTop = at[0];
  if (now) [now.scrollTop, now.scrollLeft] = at.slice(1);
  if (held) [...box.querySelectorAll("[data-key]")].find((one) => one.dataset.key === held)?.focus({ preventScroll: true });
}

// The last values of an edge, the newest first, each with its position in the stream, and its version where it had several.
function showValues(view, lens, data) {
  const rows = Array.isArray(data.rows) ? data.rows : [];
  const positions = Array.isArray(data.positions) ? data.positions : [];
  const said = lens.at !== null && rows.length ? `Values ${number(positions[0])} to ${number(positions[positions.length - 1])} of ${number(Number(data.written))}.` : rows.length ? `The last ${plural(rows.length, "value", "values")} of ${number(Number(data.written) || rows.length)}; looking takes nothing away.` : "No value has passed yet, or none is kept.";
  const caption = html("p", { class: "dgv-caption" }, said);
  if (data.note) caption.append(" ", clean(data.note, 300));
  if (!rows.length) return keepScroll(lens.answer, caption);
  const versions = Array.isArray(data.versions) && data.versions.length === rows.length ? data.versions : null;
  const made = (i) => (versions ? [versions[i] === null ? "" : `v${Number(versions[i])}`] : []);
  const numbered = rows.map((row, i) => [positions[i] ?? "", ...made(i), ...(Array.isArray(row) ? row : [row])]).reverse();
  const table = valueTable(["#", ...(versions ? ["version"] : []), ...(data.columns ?? [])], numbered, "Last values");
  if (lens.at !== null) caption.append(" ", button("The last values", "Go on to show the last values", () => latest(view, lens), { class: "dgv-link" }));
  lens.table = table;
  lens.held = html("span", {});
  caption.append(lens.held);
  keepScroll(lens.answer, caption, html("div", { class: "dgv-scroll" }, table));
  if (data.traced) traceRows(view, lens, table, positions.slice(-MOST_ROWS).reverse());
}

function section(key, title, open, ...content) {
  return html("details", { "data-key": key, open }, html("summary", {}, title), ...content);
}

const textBlock = (text, limit = MOST_TEXT) => html("pre", { dir: "auto" }, clean(text, limit, true));

// A node: what went wrong first, then its function, then what it printed.
function showNode(lens, data) {
  const parts = [];
  const errors = data.errors ?? [];
  const letters = data.letters ?? [];
  if (errors.length) {
    const last = errors[errors.length - 1];
    parts.push(section("error", `Last error: ${clean(last.error, 160)}`, true, textBlock(last.traceback || last.error)));
  }
  if (letters.length) {
    const rows = letters.map((letter) => [letter.position, letter.value, letter.error]);
    parts.push(section("letters", plural(letters.length, "dead letter", "dead letters"), true, valueTable(["#", "value", "error"], rows, "Dead letters")));
    const traced = letters[letters.length - 1].traceback;
    if (traced && !errors.length) parts.push(section("traceback", "Traceback of the last one", false, textBlock(traced)));
  }
  if (data.source) {
    const place = data.file ? ` ${clean(data.file, 200)}${data.line ? `, line ${Number(data.line)}` : ""}` : "";
    parts.push(section("source", "Source", true, html("p", { class: "dgv-caption" }, place), textBlock(data.source)));
  }
  const settings = Object.entries(data.settings ?? {});
  if (settings.length) parts.push(section("settings", "Settings", true, valueTable(["setting", "value"], settings.map(([key, value]) => [key, textOf(value)]), "Settings")));
  const logs = data.logs ?? [];
  if (logs.length) parts.push(section("logs", `Printed (last ${plural(logs.length, "line", "lines")})`, true, textBlock(logs.map((line) => clean(textOf(line), 500)).join("\n"))));
  if (!parts.length) parts.push(html("p", { class: "dgv-caption" }, "No error, no dead letter, nothing printed; its source is not known here."));
  keepScroll(lens.answer, ...parts);
}

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}
