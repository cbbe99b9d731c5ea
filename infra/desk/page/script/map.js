// The map: a tree as rings that are zoomed and moved.

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
    if (!tree.n) return;
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
