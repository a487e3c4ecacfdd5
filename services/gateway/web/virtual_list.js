// A long list of which only what can be seen exists: rows of one height, moved and filled again while it is scrolled.
import {h} from "/web/dom.js";

const kSpare = 6;

/** First and past-last row to keep for a scroll position. Pure. */
export function visibleRange(scrollTop, viewHeight, rowHeight, rows) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - kSpare);
  return [Math.min(first, Math.max(0, rows - 1)), Math.min(rows, Math.ceil((scrollTop + viewHeight) / rowHeight) + kSpare)];
}

export class VirtualList {
  /** make() gives an element, fill(element, item, index) shows an item in it. */
  constructor({rowHeight, make, fill, label}) {
    Object.assign(this, {rowHeight, make, fill});
    this.items = [];
    this.pool = [];
    this.space = h("div", {class: "space", role: "presentation"});
    this.element = h("div", {class: "virtual", tabindex: "0", role: "list", "aria-label": label, onscroll: () => this.later()}, this.space);
    this.sized = new ResizeObserver(() => this.later());
    this.sized.observe(this.element);
  }
  close() {
    this.sized.disconnect();
  }
  /** Keeps what is in view where it is when rows come in above (`added` of them), unless the top is in view. */
  show(items, added = 0) {
    this.items = items;
    this.space.style.height = `${items.length * this.rowHeight}px`;
    if (added && this.element.scrollTop > this.rowHeight) this.element.scrollTop += added * this.rowHeight;
    this.draw();
  }
  later() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }
  draw() {
    const [first, end] = visibleRange(this.element.scrollTop, this.element.clientHeight, this.rowHeight, this.items.length);
    while (this.pool.length < end - first) {
      const row = this.make();
      row.setAttribute("role", "listitem");
      this.pool.push(row);
      this.space.append(row);
    }
    this.pool.forEach((row, i) => {
      const index = first + i;
      row.hidden = index >= end;
      if (row.hidden) return;
      row.style.transform = `translateY(${index * this.rowHeight}px)`;
      row.setAttribute("aria-posinset", index + 1);
      row.setAttribute("aria-setsize", this.items.length);
      this.fill(row, this.items[index], index);
    });
  }
}
