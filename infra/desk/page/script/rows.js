// Long lists, of which only the rows in sight are drawn.

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
