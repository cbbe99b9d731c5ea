// Chosen and rejected side by side.

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

const gapBar = (gap) => {
  const bar = element("span", "gap", element("i"));
  bar.firstChild.style.width = `${Math.min(1, gap / 2) * 100}%`;
  return bar;
};
