// The explorer: questions, a question's trees as an outline and as a map, texts, and preferences side by side.
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
    const siblings = (node > 0 ? tree.children[tree.parent[node]] : tree.children[0]) ?? [];
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
        button("pair", [element("span", "", `${pair.lesson} · ${pair.kind}`), gapBar(pair.gap), element("b", "", share(pair.gap))], () => {
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
    byId("pair-facts").textContent = `The loss sees ${signed(pair.chosenValue)} against ${signed(pair.rejectedValue)}: a gap of ${share(pair.gap)}. ${policy}`;
  }

  grow(limit) {
    this.map.grow(Math.min(limit, this.tree.n - 1));
    this.said();
  }

  said() {
    const limit = Number(byId("growth").value);
    byId("grown").textContent = limit >= this.tree.n - 1 ? "the whole tree" : `${limit + 1} of ${count(this.tree.n, "node")}`;
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
