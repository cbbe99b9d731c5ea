// The explorer: questions, a question's trees as an outline and as a map, texts, and preferences side by side.
// Words of models and questions are put in as text nodes only. Rows of long lists are drawn where they are seen.
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

const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;
/** Control characters, and those that turn the direction of writing, as signs that can be seen. */
const visible = (text) =>
  text
    .replace(CONTROLS, (sign) => String.fromCharCode(sign === "\u007f" ? 0x2421 : 0x2400 + sign.charCodeAt(0)))
    .replace(TURNS, (sign) => `⟨U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

const TAGS = /^\s*<\/?(?:step|plan|solution)>\s*$/gm;
/** A step without the tags of its format. */
const plain = (text) => visible(text.replace(TAGS, "").trim());
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

/**
 * A list of which only the rows in sight are drawn, all of one height. The box keeps the focus; the current row is told
 * by aria-activedescendant. `draw(index)` makes a row, `pick(index)` is called for a click.
 */
class Rows {
  constructor(box, draw, pick) {
    Object.assign(this, { box, draw, count: 0, current: -1, all: false });
    this.space = element("div", "space");
    this.space.setAttribute("role", "presentation");
    box.append(this.space);
    box.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.paint(true)).observe(box);
    box.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) pick(Number(row.dataset.index), event);
    });
  }

  get height() {
    return parseFloat(getComputedStyle(this.box).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  show(count, current) {
    Object.assign(this, { count, current });
    this.space.style.height = `${count * this.height}px`;
    this.reveal();
    this.paint(true);
  }

  /** Scrolls as little as shows the current row; where it is far away, to the middle. */
  reveal() {
    const { box, height } = this;
    const top = this.current * height;
    const last = box.scrollTop + box.clientHeight - height;
    if (this.current < 0) box.scrollTop = 0;
    else if (top < box.scrollTop - 2 * height || top > last + 2 * height) box.scrollTop = top - box.clientHeight / 2;
    else if (top < box.scrollTop) box.scrollTop = top;
    else if (top > last) box.scrollTop = top - box.clientHeight + height;
  }

  paint(isNew = false) {
    const height = this.height;
    const first = this.all ? 0 : Math.max(0, Math.floor(this.box.scrollTop / height) - 6);
    const last = this.all ? this.count : Math.min(this.count, first + Math.ceil(this.box.clientHeight / height) + 12);
    if (!isNew && first === this.first && last === this.last) return;
    Object.assign(this, { first, last });
    const rows = [];
    for (let index = first; index < last; index++) {
      const row = this.draw(index);
      row.dataset.index = index;
      row.style.top = `${index * height}px`;
      row.setAttribute("aria-selected", index === this.current);
      row.setAttribute("aria-posinset", row.getAttribute("aria-posinset") ?? index + 1);
      row.setAttribute("aria-setsize", row.getAttribute("aria-setsize") ?? this.count);
      rows.push(row);
    }
    this.space.replaceChildren(...rows);
    const current = rows.find((row) => Number(row.dataset.index) === this.current);
    if (current) this.box.setAttribute("aria-activedescendant", current.id);
    else this.box.removeAttribute("aria-activedescendant");
  }
}

/** Adds to a tree what is read often: children, depth, the pairs' sides, and where a map puts each node. */
function prepared(tree, pairs) {
  const n = tree.parent.length;
  const children = Array.from({ length: n }, () => []);
  const depth = new Int32Array(n);
  for (let node = 1; node < n; node++) {
    if (tree.parent[node] < 0) continue;
    children[tree.parent[node]].push(node);
    depth[node] = depth[tree.parent[node]] + 1;
  }
  const marks = new Map();
  for (const pair of pairs) {
    for (const [node, side] of [[pair.chosen, "chosen"], [pair.rejected, "rejected"]]) {
      const mark = marks.get(node) ?? { chosen: 0, rejected: 0 };
      mark[side] = Math.max(mark[side], pair.gap);
      marks.set(node, mark);
    }
  }
  const deepest = depth.reduce((most, one) => Math.max(most, one), 0);
  return { ...tree, n, children, depth, deepest, marks, ...placed(tree.parent, children, depth, deepest) };
}

const RADIUS = 470;
/** Polar places: a node stands in the middle of the leaves below it, its depth is its ring. Children come after parents. */
function placed(parent, children, depth, deepest) {
  const n = parent.length;
  const span = new Float64Array(n);
  for (let node = n - 1; node >= 0; node--) {
    if (!children[node].length) span[node] = 1;
    if (node > 0 && parent[node] >= 0) span[parent[node]] += span[node];
  }
  const begin = new Float64Array(n);
  const next = new Float64Array(n);
  const angle = new Float64Array(n);
  const x = new Float64Array(n);
  const y = new Float64Array(n);
  for (let node = 0; node < n; node++) {
    if (node > 0 && parent[node] >= 0) {
      begin[node] = next[parent[node]];
      next[parent[node]] += span[node];
    }
    next[node] = begin[node];
    angle[node] = ((begin[node] + span[node] / 2) / Math.max(span[0], 3)) * 2 * Math.PI - 1.5 * Math.PI;
    const radius = (RADIUS * depth[node]) / Math.max(1, deepest);
    x[node] = radius * Math.cos(angle[node]);
    y[node] = radius * Math.sin(angle[node]);
  }
  return { angle, x, y, leaves: span[0] };
}

const pathTo = (tree, node) => {
  const path = [];
  for (let one = node; one > 0; one = tree.parent[one]) path.unshift(one);
  return path;
};

/** The right solution that most simulations went through; without one, the most visited end. */
function bestEnd(tree) {
  let best = 0;
  const rank = (node) => (tree.reward?.[node] > 0 ? 2 : tree.reward?.[node] < 0 ? 1 : 0);
  const worth = (node) => rank(node) * 1e9 + tree.visits[node] - (tree.children[node].length ? 1e12 : 0);
  for (let node = 1; node < tree.n; node++) if (best === 0 || worth(node) > worth(best)) best = node;
  return best;
}

/** The foldable outline of a tree. Keys as in any tree: arrows, Home, End, Enter, and * for all. */
class Outline {
  constructor(box, pick) {
    this.pick = pick;
    this.rows = new Rows(box, (index) => this.draw(index), (index, event) => {
      const node = this.seen[index];
      if (event.target.closest(".fold")) this.fold(node);
      else pick(node);
    });
    box.addEventListener("keydown", (event) => this.key(event));
  }

  show(tree, node) {
    this.tree = tree;
    this.open = new Set();
    if (tree.n <= 400) for (let one = 0; one < tree.n; one++) this.open.add(one);
    this.open.add(0);
    this.select(node);
  }

  select(node) {
    this.node = node;
    for (const one of pathTo(this.tree, node).slice(0, -1)) this.open.add(one);
    this.list();
  }

  /** The rows that are not folded away, from the top. */
  list() {
    this.seen = [];
    const waiting = [0];
    while (waiting.length) {
      const node = waiting.pop();
      this.seen.push(node);
      if (this.open.has(node)) waiting.push(...this.tree.children[node].toReversed());
    }
    this.rows.show(this.seen.length, this.seen.indexOf(this.node));
  }

  fold(node, isOpen = !this.open.has(node)) {
    if (isOpen) this.open.add(node);
    else this.open.delete(node);
    this.list();
  }

  foldAll(isOpen) {
    this.open = new Set([0]);
    if (isOpen) for (let node = 0; node < this.tree.n; node++) this.open.add(node);
    if (!isOpen && this.tree.depth[this.node] > 1) this.pick(pathTo(this.tree, this.node)[0]);
    else this.list();
  }

  key(event) {
    const { tree, node, seen } = this;
    const at = seen.indexOf(node);
    const children = tree.children[node];
    const page = Math.max(1, Math.floor(this.rows.box.clientHeight / this.rows.height) - 1);
    const moves = {
      ArrowDown: () => seen[at + 1],
      ArrowUp: () => seen[at - 1],
      PageDown: () => seen[Math.min(seen.length - 1, at + page)],
      PageUp: () => seen[Math.max(0, at - page)],
      Home: () => seen[0],
      End: () => seen.at(-1),
      ArrowRight: () => (children.length && !this.open.has(node) ? void this.fold(node, true) : children[0]),
      ArrowLeft: () => (children.length && this.open.has(node) && node > 0 ? void this.fold(node, false) : tree.parent[node]),
      Enter: () => void this.fold(node),
      " ": () => void this.fold(node),
      "*": () => void this.foldAll(true),
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = moves[event.key]();
    if (next != null && next >= 0) this.pick(next);
  }

  draw(index) {
    const { tree } = this;
    const node = this.seen[index];
    const children = tree.children[node];
    const isOpen = this.open.has(node);
    const siblings = node > 0 ? tree.children[tree.parent[node]] : [0];
    const [sign, words] = outcome(tree, node);
    const mark = tree.marks.get(node);
    const text = node > 0 ? oneLine(tree.text[node]) : "The question";
    const fold = element("span", "fold", children.length ? (isOpen ? "▾" : "▸") : "");
    const said = element("span", "said", text);
    said.dir = "auto";
    const name = element("span", "name", fold, element("span", `sign ${words.startsWith("right") ? "right" : sign === "✗" ? "wrong" : ""}`, sign), said);
    const indent = Math.min(0.75, 12 / Math.max(1, tree.deepest)) * tree.depth[node];
    name.style.paddingLeft = `${indent}rem`;
    if (mark) name.append(...tags(mark));
    const row = element(
      "div", "row", name, qCell(tree.q?.[node]), element("span", "number", tree.visits[node].toLocaleString("en")),
      element("span", "number wide", signed(tree.value?.[node])), element("span", "number wide", node > 0 ? share(tree.prior[node]) : ""),
    );
    row.id = `node-${node}`;
    row.setAttribute("role", "treeitem");
    row.setAttribute("aria-level", tree.depth[node] + 1);
    row.setAttribute("aria-posinset", siblings.indexOf(node) + 1);
    row.setAttribute("aria-setsize", siblings.length);
    if (children.length) row.setAttribute("aria-expanded", isOpen);
    const figures = [`Q ${signed(tree.q?.[node])}`, count(tree.visits[node], "visit"), `V ${signed(tree.value?.[node])}`, `prior ${share(tree.prior[node])}`];
    const sides = mark ? [mark.chosen && "chosen", mark.rejected && "rejected"].filter(Boolean) : [];
    row.setAttribute("aria-label", [words, ...sides, text, ...figures].join(", "));
    return row;
  }
}

/** On which sides of preferences a node is. */
const tags = (mark) => ["chosen", "rejected"].filter((side) => mark[side]).map((side) => element("span", `tag ${side}`, side === "chosen" ? "▲" : "▼"));

/** Q as a number and as a bar to the left (worse) or right (better) of its middle. */
function qCell(q) {
  const bar = element("i");
  const cell = element("span", "q", element("span", "line", bar), element("b", "", signed(q)));
  if (q != null) {
    bar.className = q < 0 ? "worse" : "better";
    bar.style.width = `${Math.abs(q) * 50}%`;
    bar.style.left = q < 0 ? `${50 - Math.abs(q) * 50}%` : "50%";
  }
  return cell;
}

/** The tree as rings around its question. All nodes of a colour are one path, so that ten thousand are drawn at once. */
class TreeMap {
  constructor(svg, tip, pick) {
    Object.assign(this, { svg, tip, pick });
    svg.addEventListener("pointermove", (event) => this.hover(event));
    svg.addEventListener("pointerleave", () => (tip.hidden = true));
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 200), this.place(event));
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      this.drag = { x: event.clientX, y: event.clientY, view: { ...this.view }, moved: false };
      if (this.view.size < 1000) svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointerup", (event) => {
      const isClick = this.drag && !this.drag.moved;
      this.drag = null;
      const node = isClick ? this.nearest(event) : -1;
      if (node >= 0) pick(node);
    });
    svg.addEventListener("pointercancel", () => (this.drag = null));
  }

  show(tree, node) {
    this.tree = tree;
    this.limit = tree.n - 1;
    const most = tree.visits.reduce((a, b, index) => (index > 0 ? Math.max(a, b) : a), 1);
    const room = Math.min((2 * Math.PI * RADIUS) / tree.leaves, RADIUS / Math.max(1, tree.deepest));
    const [least, largest] = [Math.max(1.4, Math.min(5, room * 0.22)), Math.max(3, Math.min(17, room * 0.42))];
    this.size = (one) => least + (largest - least) * Math.sqrt(Math.min(1, tree.visits[one] / most));
    this.fit();
    this.node = node;
    this.draw();
  }

  select(node) {
    this.node = node;
    this.highlight();
  }

  grow(limit) {
    this.limit = limit;
    this.draw();
  }

  fit() {
    this.view = { x: -500, y: -500, size: 1000 };
    this.look();
  }

  zoom(factor, at = { x: this.view.x + this.view.size / 2, y: this.view.y + this.view.size / 2 }) {
    const size = Math.min(1000, Math.max(25, this.view.size / factor));
    const scale = size / this.view.size;
    this.view = { x: at.x - (at.x - this.view.x) * scale, y: at.y - (at.y - this.view.y) * scale, size };
    if (size === 1000) this.view = { x: -500, y: -500, size };
    this.look();
  }

  look() {
    this.svg.setAttribute("viewBox", `${this.view.x} ${this.view.y} ${this.view.size} ${this.view.size}`);
    this.svg.classList.toggle("near", this.view.size < 1000);
  }

  place(event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
  }

  /** The node under the pointer, or -1. */
  nearest(event) {
    const at = this.place(event);
    const reach = 14 / this.svg.getScreenCTM().a;
    let [best, least] = [-1, reach * reach];
    for (let node = 0; node <= this.limit; node++) {
      const off = (this.tree.x[node] - at.x) ** 2 + (this.tree.y[node] - at.y) ** 2;
      if (off < least) [best, least] = [node, off];
    }
    return best;
  }

  hover(event) {
    if (this.drag) {
      const scale = 1 / this.svg.getScreenCTM().a;
      const [dx, dy] = [event.clientX - this.drag.x, event.clientY - this.drag.y];
      this.drag.moved ||= Math.hypot(dx, dy) > 4;
      if (this.drag.moved && this.view.size < 1000) {
        this.view = { ...this.drag.view, x: this.drag.view.x - dx * scale, y: this.drag.view.y - dy * scale };
        this.look();
      }
      return;
    }
    const node = this.tree ? this.nearest(event) : -1;
    this.tip.hidden = node < 0;
    this.svg.classList.toggle("over", node >= 0);
    if (node < 0) return;
    const { tree } = this;
    const said = element("span", "said", node > 0 ? short(oneLine(tree.text[node]), 140) : "The question");
    said.dir = "auto";
    const figures = `Q ${signed(tree.q?.[node])} · N ${tree.visits[node]} · V ${signed(tree.value?.[node])} · P ${share(tree.prior[node])}`;
    this.tip.replaceChildren(element("b", "", outcome(tree, node).join(" ")), said, element("span", "figures", figures));
    const box = this.svg.parentElement.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth - 8);
    const top = event.clientY - box.top + 18;
    this.tip.style.left = `${Math.max(8, left)}px`;
    this.tip.style.top = `${top + this.tip.offsetHeight > box.height ? top - this.tip.offsetHeight - 32 : top}px`;
  }

  draw() {
    const { tree, limit } = this;
    const rings = [];
    for (let ring = 1; ring <= tree.deepest; ring++) {
      if (tree.deepest > 24 && ring % 10) continue;
      rings.push(shape("circle", { class: "ring", r: (RADIUS * ring) / tree.deepest }));
    }
    const links = Array.from({ length: 5 }, () => []);
    const dots = new Map();
    const add = (name, path) => (dots.has(name) ? dots.get(name).push(path) : dots.set(name, [path]));
    const most = Math.log1p(tree.visits[0]) || 1;
    for (let node = 0; node <= limit; node++) {
      if (node > 0) links[Math.min(4, Math.floor((5 * Math.log1p(tree.visits[node])) / most))].push(this.link(node));
      const size = this.size(node);
      const [sign, words] = outcome(tree, node);
      if (words === "right solution") add("right", diamond(tree.x[node], tree.y[node], size * 1.25));
      else if (sign === "✗") add("wrong", cross(tree.x[node], tree.y[node], size * 0.8));
      else if (node === 0) add("root", disc(0, 0, 9));
      else add(`q${step(tree.q?.[node])}`, disc(tree.x[node], tree.y[node], size));
      const mark = tree.marks.get(node);
      if (mark?.chosen) add("chosen", disc(tree.x[node], tree.y[node], size + 4));
      else if (mark?.rejected) add("rejected", disc(tree.x[node], tree.y[node], size + 4));
    }
    const order = ["chosen", "rejected", ...Array.from({ length: 9 }, (_, index) => `q${index}`), "qnone", "wrong", "right", "root"];
    this.trail = shape("path", { class: "trail" });
    this.halo = shape("circle", { class: "halo" });
    this.svg.replaceChildren(
      ...rings,
      ...links.map((paths, index) => shape("path", { class: `link w${index}`, d: paths.join("") })),
      this.trail,
      ...order.filter((name) => dots.has(name)).map((name) => shape("path", { class: `node ${name}`, d: dots.get(name).join("") })),
      this.halo,
    );
    this.highlight();
  }

  highlight() {
    const { tree, node, limit } = this;
    const path = pathTo(tree, node).filter((one) => one <= limit);
    this.trail.setAttribute("d", path.map((one) => this.link(one)).join(""));
    this.halo.setAttribute("cx", tree.x[node]);
    this.halo.setAttribute("cy", tree.y[node]);
    this.halo.setAttribute("r", node <= limit ? this.size(node) + 8 : 0);
  }

  link(node) {
    const { tree } = this;
    const parent = tree.parent[node];
    if (parent < 0) return "";
    const middle = (RADIUS * (tree.depth[node] - 0.5)) / Math.max(1, tree.deepest);
    const bend = (angle) => `${(middle * Math.cos(angle)).toFixed(1)},${(middle * Math.sin(angle)).toFixed(1)}`;
    const start = parent === 0 ? tree.angle[node] : tree.angle[parent];
    return `M${tree.x[parent].toFixed(1)},${tree.y[parent].toFixed(1)}C${bend(start)} ${bend(tree.angle[node])} ${tree.x[node].toFixed(1)},${tree.y[node].toFixed(1)}`;
  }
}

const disc = (x, y, r) => `M${(x - r).toFixed(1)},${y.toFixed(1)}a${r.toFixed(1)},${r.toFixed(1)} 0 1,0 ${(2 * r).toFixed(1)},0a${r.toFixed(1)},${r.toFixed(1)} 0 1,0 ${(-2 * r).toFixed(1)},0`;
const diamond = (x, y, r) => `M${x.toFixed(1)},${(y - r).toFixed(1)}l${r.toFixed(1)},${r.toFixed(1)}l${(-r).toFixed(1)},${r.toFixed(1)}l${(-r).toFixed(1)},${(-r).toFixed(1)}z`;
const cross = (x, y, r) => `M${(x - r).toFixed(1)},${(y - r).toFixed(1)}l${(2 * r).toFixed(1)},${(2 * r).toFixed(1)}m0,${(-2 * r).toFixed(1)}l${(-2 * r).toFixed(1)},${(2 * r).toFixed(1)}`;

/** Two texts as words, those that are not in both marked (longest common subsequence). */
function differing(one, other) {
  const [a, b] = [one, other].map((text) => text.match(/\s+|[^\s]+/g) ?? []);
  if (a.length * b.length > 250_000) return [[one], [other]];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const sides = [[], []];
  const add = (side, word, isMarked) => sides[side].push(isMarked && word.trim() ? element("mark", "", word) : word);
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add(0, a[i++], false);
      add(1, b[j++], false);
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) add(0, a[i++], true);
    else add(1, b[j++], true);
  }
  return sides;
}

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

const figuresOf = (tree, node) =>
  element(
    "span", "figures", qCell(tree.q?.[node]),
    element("span", "", `N ${tree.visits[node].toLocaleString("en")}`), element("span", "", `V ${signed(tree.value?.[node])}`),
    element("span", "", `P ${share(tree.prior[node])}`), element("span", "", count(tree.tokens[node], "token")),
  );

class Explorer {
  constructor(questions) {
    this.questions = questions;
    this.blocks = new Map();
    this.list = new Rows(byId("questions"), (index) => this.question(index), (index) => this.open(this.found[index]));
    this.outline = new Outline(byId("outline"), (node) => this.select(node));
    this.map = new TreeMap(byId("map"), byId("tip"), (node) => this.select(node));
    for (const kind of [...new Set(questions.flatMap((one) => one.kinds))].sort()) byId("kind").append(new Option(kind));
    for (const id of ["search", "status", "kind", "order"]) byId(id).addEventListener("input", () => this.filter());
    byId("questions").addEventListener("keydown", (event) => this.key(event));
    byId("raw").addEventListener("change", () => this.read());
    byId("unfold").addEventListener("click", () => this.outline.foldAll(true));
    byId("fold").addEventListener("click", () => this.outline.foldAll(false));
    byId("best").addEventListener("click", () => this.select(bestEnd(this.tree)));
    byId("nearer").addEventListener("click", () => this.map.zoom(1.6));
    byId("farther").addEventListener("click", () => this.map.zoom(1 / 1.6));
    byId("whole").addEventListener("click", () => this.map.fit());
    byId("growth").addEventListener("input", () => this.grow(Number(byId("growth").value)));
    byId("play").addEventListener("click", () => this.play());
    addEventListener("beforeprint", () => this.all(true));
    addEventListener("afterprint", () => this.all(false));
    addEventListener("hashchange", (event) => this.go(new URL(event.newURL).hash)); // the address itself may be another by now
  }

  async start() {
    this.filter(false);
    if (!(await this.go(location.hash)) && this.found.length) await this.open(this.found[0]);
  }

  /** Opens what an address names from its # on: a question, one of its trees, a node. */
  async go(hash) {
    const named = new URLSearchParams(hash.slice(1));
    const question = this.questions.find((one) => one.id === named.get("question"));
    if (!question || named.toString() === this.address) return Boolean(question);
    await this.open(question, named.get("tree"), Number(named.get("node") ?? -1));
    return true;
  }

  filter(isAsked = true) {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = byId("kind").value;
    const status = { all: () => true, solved: (one) => one.solved, unsolved: (one) => !one.solved, paired: (one) => one.pairs > 0 }[byId("status").value];
    const by = {
      critical: (one) => -(one.widest ?? -1),
      hardest: (one) => one.passRate ?? 2,
      largest: (one) => -one.nodes,
      name: () => 0,
    }[byId("order").value];
    this.found = this.questions
      .filter((one) => status(one) && (!kind || one.kinds.includes(kind)) && words.every((word) => one.text.toLowerCase().includes(word) || one.id.toLowerCase().includes(word)))
      .sort((a, b) => by(a) - by(b) || a.id.localeCompare(b.id, "en", { numeric: true }));
    byId("found").textContent = this.found.length === this.questions.length ? count(this.questions.length, "question") : `${this.found.length.toLocaleString("en")} of ${count(this.questions.length, "question")}`;
    this.list.show(this.found.length, this.found.indexOf(this.asked));
    if (isAsked && !this.found.includes(this.asked) && this.found.length) this.open(this.found[0]);
  }

  question(index) {
    const one = this.found[index];
    const text = quoted("span", "asked-text", visible(one.text.replace(/\s+/g, " ")));
    const facts = element("span", "facts", element("span", one.solved ? "right" : "wrong", one.solved ? "✓ solved" : "✗ unsolved"), element("span", "", count(one.nodes, "node")));
    if (one.widest != null) facts.append(element("span", "", `gap ${one.widest.toFixed(2)}`), gapBar(one.widest));
    if (one.heldOut) facts.append(element("span", "", "held out"));
    const row = element("div", "question-row", text, facts);
    row.id = `question-${index}`;
    row.setAttribute("role", "option");
    return row;
  }

  key(event) {
    const at = this.found.indexOf(this.asked);
    const page = Math.max(1, Math.floor(this.list.box.clientHeight / this.list.height) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.found.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = this.found[Math.max(0, Math.min(this.found.length - 1, to))];
    if (next && next !== this.asked) this.open(next);
  }

  async open(question, treeName = "", node = -1) {
    this.asked = question;
    this.list.show(this.found.length, this.found.indexOf(question));
    if (!this.blocks.has(question.block)) this.blocks.set(question.block, unpacked(`block-${question.block}`));
    const details = (await this.blocks.get(question.block))[question.place];
    if (this.asked !== question) return;
    this.details = details;
    const largest = details.trees.reduce((best, tree, index, trees) => (tree.parent.length > trees[best].parent.length ? index : best), 0);
    const named = details.trees.findIndex((tree) => tree.name === treeName);
    const number = named >= 0 ? named : (details.pairs[0]?.tree ?? largest);
    this.head();
    this.pairList();
    this.plant(number, node);
  }

  head() {
    const { asked, details } = this;
    byId("question-id").textContent = asked.id;
    byId("question-text").textContent = visible(details.question.trim());
    const facts = [["gold answer", details.answer], ["kinds", asked.kinds.join(", ")], ["level", asked.level], ["source", details.source], ["solved without search", asked.passRate == null ? null : `${Math.round(100 * asked.passRate)} %`]];
    byId("question-facts").replaceChildren(
      ...facts.filter(([, value]) => value != null && value !== "").map(([name, value]) => element("div", "", element("dt", "", name), quoted("dd", "", visible(String(value))))),
    );
    byId("trees").replaceChildren(
      ...details.trees.map((tree, number) => {
        const one = button("tree-tab", [element("b", "", visible(tree.evidence)), ` ${tree.method}, ${tree.state}, ${count(tree.parent.length, "node")}`], () => this.plant(number));
        one.title = tree.name;
        return one;
      }),
    );
  }

  plant(number, node = -1) {
    this.stop();
    this.number = number;
    const pairs = this.details.pairs.filter((pair) => pair.tree === number);
    this.tree = prepared(this.details.trees[number], pairs);
    [...byId("trees").children].forEach((one, index) => one.setAttribute("aria-pressed", index === number));
    const { tree } = this;
    const facts = [count(tree.n, "node"), count(tree.expansions, "expansion"), `depth ${tree.deepest}`, count(tree.generated_tokens, "token")];
    byId("tree-facts").textContent = tree.error ? `failed: ${visible(tree.error)}` : facts.join(" · ");
    const growth = byId("growth");
    growth.max = tree.n - 1;
    growth.value = tree.n - 1;
    this.node = tree.n > node && node >= 0 ? node : pairs.length ? pairs[0].chosen : bestEnd(tree);
    this.outline.show(tree, this.node);
    this.map.show(tree, this.node);
    byId("map").setAttribute("aria-label", `Map of the tree: ${facts.join(", ")}. The outline says the same in words.`);
    this.said();
    this.choose(pairs.find((pair) => pair.chosen === this.node) ?? pairs[0] ?? this.details.pairs[0]);
    this.read();
  }

  select(node) {
    this.node = node;
    this.outline.select(node);
    this.map.select(node);
    const pairs = this.details.pairs.filter((pair) => pair.tree === this.number && (pair.chosen === node || pair.rejected === node));
    if (pairs.length && !pairs.includes(this.pair)) this.choose(pairs[0]);
    this.read();
  }

  /** The path to the selected node, and its siblings as the search saw them. */
  read() {
    const { tree, node, details } = this;
    this.address = new URLSearchParams({ question: this.asked.id, tree: tree.name, node }).toString();
    history.replaceState(null, "", `#${this.address}`);
    const shown = (text) => (byId("raw").checked ? visible(text) : plain(text)) || "(no text)";
    const path = pathTo(tree, node).map((one) => {
      const [sign, words] = outcome(tree, one);
      const origin = ORIGINS[tree.origin[one]];
      const about = button("about", [element("span", "sign", sign), ` ${words}${origin ? `, ${origin}` : ""}`], () => this.select(one));
      const item = element("li", one === node ? "current" : "", element("div", "about-line", about, figuresOf(tree, one)), quoted("p", "step", shown(tree.text[one])));
      if (tree.answer?.[one] != null) {
        const is = tree.reward?.[one] > 0 ? "right" : tree.reward?.[one] < 0 ? "wrong" : "undecided";
        item.append(element("p", `answer ${is}`, "answer ", quoted("b", "", visible(tree.answer[one])), is === "wrong" ? ", but it is " : `, ${is}`, ...(is === "wrong" ? [quoted("b", "", visible(details.answer))] : [])));
      }
      if (tree.hint?.[one]) item.prepend(element("details", "hint", element("summary", "", "The hint it saw"), quoted("p", "step", visible(tree.hint[one]))));
      return item;
    });
    byId("path").replaceChildren(...path);
    byId("path-empty").hidden = path.length > 0;
    const siblings = node > 0 ? tree.children[tree.parent[node]] : tree.children[0];
    byId("siblings-title").textContent = node > 0 ? `Its siblings (${siblings.length})` : `First steps (${siblings.length})`;
    byId("siblings").replaceChildren(
      ...[...siblings].sort((a, b) => (tree.q?.[b] ?? -2) - (tree.q?.[a] ?? -2)).slice(0, 40).map((one) => {
        const link = button("sibling", [element("span", "sign", outcome(tree, one)[0]), quoted("span", "said", oneLine(tree.text[one]))], () => this.select(one));
        const q = element("td", "", qCell(tree.q?.[one]));
        const row = element("tr", one === node ? "current" : "", element("td", "", link), q, ...[tree.visits[one], signed(tree.value?.[one]), share(tree.prior[one])].map((text) => element("td", "number", String(text))));
        return row;
      }),
    );
    if (details.solution) byId("gold-solution").textContent = visible(details.solution);
    byId("gold").hidden = !details.solution;
  }

  pairList() {
    const { pairs } = this.details;
    byId("pairs-title").textContent = pairs.length ? `${count(pairs.length, "preference")}, the most critical first` : "No preference was drawn from this question";
    byId("pair-view").hidden = !pairs.length;
    byId("pairs").replaceChildren(
      ...pairs.slice(0, 200).map((pair) =>
        button("pair", [element("span", "", `${pair.lesson} · ${pair.kind}`), gapBar(pair.gap), element("b", "", pair.gap.toFixed(2))], () => {
          if (pair.tree !== this.number) this.plant(pair.tree, pair.chosen);
          this.pair = pair;
          this.select(pair.chosen);
          this.choose(pair);
        }),
      ),
    );
  }

  /** A preference side by side, what differs marked. */
  choose(pair) {
    this.pair = pair;
    [...byId("pairs").children].forEach((one, index) => one.setAttribute("aria-pressed", this.details.pairs[index] === pair));
    if (!pair) return;
    const tree = pair.tree === this.number ? this.tree : prepared(this.details.trees[pair.tree], []);
    const sides = ["chosen", "rejected"].map((side) => pathTo(tree, pair[side]).filter((node) => node > pair.parent && !pathTo(tree, pair.parent).includes(node)));
    const texts = sides.map((nodes) => nodes.map((node) => plain(tree.text[node])).join("\n"));
    const marked = differing(...texts);
    byId("sides").replaceChildren(
      ...["chosen", "rejected"].map((side, index) =>
        element(
          "section", `side ${side}`,
          element("h5", "", `${side === "chosen" ? "▲" : "▼"} ${side}`), figuresOf(tree, pair[side]), quoted("p", "step", ...marked[index]),
          button("quiet", "show in the tree", () => {
            if (pair.tree !== this.number) this.plant(pair.tree, pair[side]);
            else this.select(pair[side]);
            byId("outline").focus();
          }),
        ),
      ),
    );
    const [liked, disliked] = [tree.prior[pair.chosen], tree.prior[pair.rejected]];
    const policy = pair.kind === "continuation" || liked === disliked ? "" : liked > disliked ? "The policy preferred the chosen one, too." : "The policy preferred the rejected one.";
    byId("pair-facts").textContent = `The loss sees ${signed(pair.chosenValue)} against ${signed(pair.rejectedValue)}: a gap of ${pair.gap.toFixed(2)}. ${policy}`;
  }

  grow(limit) {
    this.map.grow(limit);
    this.said();
  }

  said() {
    const limit = Number(byId("growth").value);
    byId("grown").textContent = limit === this.tree.n - 1 ? "the whole tree" : `${limit + 1} of ${count(this.tree.n, "node")}`;
    byId("growth").setAttribute("aria-valuetext", byId("grown").textContent);
  }

  /** Lets the tree grow again, node by node, in five seconds; where motion is not wanted, in one step. */
  play() {
    if (this.playing) return this.stop();
    const last = this.tree.n - 1;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return undefined;
    const growth = byId("growth");
    const begin = performance.now();
    byId("play").textContent = "❚❚";
    byId("play").setAttribute("aria-label", "Stop");
    const frame = (now) => {
      growth.value = Math.min(last, Math.round((last * (now - begin)) / 5000));
      this.grow(Number(growth.value));
      if (Number(growth.value) < last) this.playing = requestAnimationFrame(frame);
      else this.stop();
    };
    this.playing = requestAnimationFrame(frame);
    return undefined;
  }

  stop() {
    if (this.playing) cancelAnimationFrame(this.playing);
    this.playing = 0;
    byId("play").textContent = "▶";
    byId("play").setAttribute("aria-label", "Let it grow again");
  }

  /** On paper there is no scrolling: the whole outline, up to 1,500 rows. */
  all(isAll) {
    this.outline.rows.all = isAll && this.outline.rows.count <= 1500;
    this.outline.rows.paint(true);
  }
}

const gapBar = (gap) => {
  const bar = element("span", "gap", element("i"));
  bar.firstChild.style.width = `${Math.min(1, gap / 2) * 100}%`;
  return bar;
};

addEventListener("DOMContentLoaded", async () => {
  if (!byId("index")) return;
  try {
    byId("explorer-view").hidden = false;
    const explorer = new Explorer(await unpacked("index"));
    await explorer.start();
    document.documentElement.dataset.explorer = "ready";
  } catch (problem) {
    byId("explorer-view").hidden = true;
    byId("explorer-problem").hidden = false;
    byId("explorer-problem").textContent = `The explorer did not open: ${problem}`;
  }
});
