// The outline: a tree as rows that fold.

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
    const waiting = this.tree.n ? [0] : [];
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
    if (!tree.n) return;
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

const figuresOf = (tree, node) =>
  element(
    "span", "figures", qCell(tree.q?.[node]),
    element("span", "", `N ${tree.visits[node].toLocaleString("en")}`), element("span", "", `V ${signed(tree.value?.[node])}`),
    element("span", "", `P ${share(tree.prior[node])}`), element("span", "", count(tree.tokens[node], "token")),
  );
