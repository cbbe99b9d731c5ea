// A tree as it is read: children, depth, places on the map, and the paths that are asked for.

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
  return { angle, x, y, leaves: span[0] ?? 1 };
}

const pathTo = (tree, node) => {
  const path = [];
  for (let one = node; one > 0; one = tree.parent[one]) path.unshift(one);
  return path;
};

/** The right solution that most simulations went through; without one, the most visited end. -1 in a tree without nodes. */
function bestEnd(tree) {
  let best = tree.n ? 0 : -1;
  const rank = (node) => (tree.reward?.[node] > 0 ? 2 : tree.reward?.[node] < 0 ? 1 : 0);
  const worth = (node) => rank(node) * 1e9 + tree.visits[node] - (tree.children[node].length ? 1e12 : 0);
  for (let node = 1; node < tree.n; node++) if (best === 0 || worth(node) > worth(best)) best = node;
  return best;
}
