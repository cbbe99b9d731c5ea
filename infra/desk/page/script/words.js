// What everything on the page is made of: elements, and words and numbers as a person reads them.
// Words of models and questions are put in as text nodes only.
"use strict";

const byId = (id) => document.getElementById(id);

/** An element with its class and children; strings become text. */
function element(name, className = "", ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** What a data block holds: JSON, compressed, in base64. */
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;
/** C1 controls, and what Unicode lets a page leave out or obey, but for what joins letters and picks the form of one. */
const UNSEEN = /(?![\u200c\u200d\ufe00-\ufe0f])[\u0080-\u009f\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;
/** Control characters, those that turn the direction of writing and others that nobody sees, as signs that can be seen. */
const visible = (text) =>
  text
    .replace(CONTROLS, (sign) => String.fromCharCode(sign === "\u007f" ? 0x2421 : 0x2400 + sign.charCodeAt(0)))
    .replace(UNSEEN, (sign) => `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

const TAG = /^<\/?(?:step|plan|solution)>$/;
/** A step without the lines that are tags of its format. */
const plain = (text) => visible(text.split("\n").filter((line) => !TAG.test(line.trim())).join("\n").trim());
const short = (text, length) => (text.length > length ? `${text.slice(0, length)}…` : text);
const oneLine = (text) => short(plain(short(text, 600)), 240).replace(/\s+/g, " ") || "(no text)";

const signed = (x) => (x == null ? "–" : (x > 0 ? "+" : x < 0 ? "−" : "") + Math.abs(x).toFixed(2));
const share = (x) => (x == null ? "–" : x.toFixed(2));
const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
const step = (q) => (q == null ? "none" : Math.max(0, Math.min(8, Math.round((q + 1) * 4))));

/** What became of a node: its sign, and in words. */
function outcome(tree, node) {
  const kind = tree.kind[node];
  if (kind === "root") return ["○", "question"];
  if (tree.reward?.[node] > 0) return ["✓", "right solution"];
  if (kind === "solution") return ["✗", "wrong solution"];
  if (kind === "undecided") return ["?", "undecided solution"];
  if (kind === "leaked") return ["⊘", "gave the answer away"];
  if (kind === "plan" || kind === "step") return ["•", kind === "plan" ? "plan step" : "step"];
  return ["✗", kind.replace("_", " ")];
}

const ORIGINS = { reading: "a reading of the question", correction: "a correction", library: "from the library", hint: "under a hint" };

/** A text of others, in its own direction. */
function quoted(name, className, ...parts) {
  const made = element(name, `text ${className}`, ...parts);
  made.dir = "auto";
  return made;
}

function button(className, words, act) {
  const made = element("button", className, ...[words].flat());
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}
