// Numbers and texts as they are shown, by the rules of drawing/style.py.

const LEVELS = { amber: 0.6, red: 0.85 };

// What is not known (null: it was not finite) is shown as nothing: 0.
function number(value) {
  value = Number(value) || 0;
  return Math.abs(value) < 1e7 ? Math.round(value).toLocaleString("en-US") : short(value);
}

function short(value) {
  value = Number(value) || 0;
  for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= limit * 0.9995) {
      const scaled = value / limit;
      return (scaled >= 99.95 ? scaled.toFixed(0) : scaled.toFixed(1).replace(/\.0$/, "")) + unit;
    }
  }
  return Math.abs(value) >= 9.95 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

function seconds(value) {
  value = Number(value) || 0;
  for (const [limit, size, unit] of [[90, 1, "s"], [5400, 60, "min"], [129600, 3600, "h"]]) {
    if (value < limit) return `${(value / size).toFixed(value < 9.95 && unit === "s" ? 1 : 0)} ${unit}`;
  }
  return `${(value / 86400).toFixed(0)} d`;
}

const percent = (share) => `${(share * 100).toFixed(0)} %`;

const perSecond = (value) => (value ? `${short(value)}/s` : "");

function bytes(value) {
  return value < 1000 ? `${value} B` : `${short(value)}B`;
}

const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

function level(fill) {
  return fill > LEVELS.red ? "full" : fill > LEVELS.amber ? "busy" : "calm";
}

function strokeWidth(fill) {
  return 1.6 + 3.4 * Math.min(Math.max(fill, 0), 1);
}

// Text of a stranger's on one line (or on several): no control characters, invisible ones escaped, cut.
function clean(text, limit = 300, lines = false) {
  let shown = String(text ?? "");
  const cut = shown.length > limit;
  if (cut) shown = shown.slice(0, limit - 1);
  shown = shown.replace(/\r\n?/g, "\n").replace(lines ? /[\u2028\u2029]/g : /[\t\n\u2028\u2029]/g, " ");
  shown = shown.replace(/\p{Cs}|[\ufffe\uffff]/gu, "\ufffd");
  shown = shown.replace(/[\p{Cf}]/gu, (c) => (c === "\u200d" ? c : `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`));
  shown = shown.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
  return cut ? `${shown}…` : shown;
}

const NARROW = new Map();
for (const [width, chars] of [[0.33, "ijlI '|.,:;!·"], [0.43, "frt()[]{}/\\-"], [0.6, "cksvxyz_"], [1, "mwMWQG@%&—…"]]) {
  for (const char of chars) NARROW.set(char, width);
}

function charWidth(char) {
  const known = NARROW.get(char);
  if (known !== undefined) return known;
  const code = char.codePointAt(0);
  if (/\p{M}/u.test(char)) return 0;
  if (code >= 0x1100 && /[\u1100-\u115f\u2e80-\uffdc\u{1f300}-\u{3ffff}]/u.test(char)) return 1.05;
  return code > 0x2000 || (char !== char.toLowerCase() && char === char.toUpperCase()) ? 0.78 : 0.64;
}

function textWidth(text, size, bold = false) {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width * size * (bold ? 1.13 : 1);
}

function fit(text, width, size, bold = false) {
  if (textWidth(text, size, bold) <= width) return text;
  const room = width / (size * (bold ? 1.13 : 1)) - charWidth("…");
  let used = 0;
  let kept = "";
  for (const char of text) {
    used += charWidth(char);
    if (used > room) break;
    kept += char;
  }
  return `${kept.trimEnd()}…`;
}

// The first of several ways to say something that has room; the last one is cut to it.
function firstFit(ways, width, size, bold = false) {
  return ways.find((way) => textWidth(way, size, bold) <= width) ?? fit(ways[ways.length - 1], width, size, bold);
}
