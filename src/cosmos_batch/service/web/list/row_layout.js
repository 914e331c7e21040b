// The geometry of a long list: groups with heads, and rows of equal height, of which only those in sight are drawn.

/**
 * A row to draw: the head of a group, or the items from `first` on.
 * `number` counts the rows of the list from 1, `top` and `height` are in pixels.
 * @typedef {{ key: string, head: boolean, group: number, first: number, count: number, number: number, top: number, height: number }} PlacedRow
 */

/**
 * `counts`: items of each group; `perRow`: items beside each other, Infinity for a row per group; heights in pixels;
 * `closed`: groups of which the head alone shows.
 * @typedef {{ counts: number[], perRow: number, rowHeight: number, headHeight: number, closed: Set<number> }} Shape
 */

export class RowLayout {
  /** @param {Shape} shape */
  constructor({ counts, perRow, rowHeight, headHeight, closed }) {
    this.counts = counts;
    this.perRow = perRow;
    this.rowHeight = rowHeight;
    this.headHeight = headHeight;
    this.closed = closed;
    /** @type {number[]} */
    this.firsts = []; // the first item of each group
    /** @type {number[]} */
    this.tops = []; // the top of each group
    /** @type {number[]} */
    this.before = []; // rows before each group
    this.rows = 0;
    this.height = 0;
    this.items = 0;
    for (const [group, count] of counts.entries()) {
      this.firsts.push(this.items);
      this.tops.push(this.height);
      this.height += headHeight + this.rowsOf(group) * rowHeight;
      this.before.push(this.rows);
      this.rows += this.rowsOf(group) + (headHeight ? 1 : 0);
      this.items += count;
    }
  }

  /** @param {number} group */
  rowsOf(group) {
    const count = this.counts[group] ?? 0;
    if (this.closed.has(group) || !count) return 0;
    return Math.max(1, Math.ceil(count / this.perRow));
  }

  /**
   * The rows that reach into the pixels from `from` to `to`.
   * @param {number} from
   * @param {number} to
   * @returns {PlacedRow[]}
   */
  rowsIn(from, to) {
    /** @type {PlacedRow[]} */
    const rows = [];
    for (let group = Math.max(0, lastAtMost(this.tops, from)); group < this.counts.length; group++) {
      const top = this.tops[group] ?? 0;
      if (top > to) break;
      if (this.headHeight && top + this.headHeight > from) rows.push(this.head(group));
      const under = top + this.headHeight;
      const last = Math.min(this.rowsOf(group) - 1, Math.floor((to - under) / this.rowHeight));
      for (let n = Math.max(0, Math.floor((from - under) / this.rowHeight)); n <= last; n++) rows.push(this.row(group, n));
    }
    return rows;
  }

  /**
   * @param {number} group
   * @returns {PlacedRow}
   */
  head(group) {
    const [first, count, top] = [this.firsts[group] ?? 0, this.counts[group] ?? 0, this.tops[group] ?? 0];
    const number = (this.before[group] ?? 0) + 1;
    return { key: `head-${group}`, head: true, group, first, count, number, top, height: this.headHeight };
  }

  /**
   * @param {number} group
   * @param {number} n the row's number within the group
   * @returns {PlacedRow}
   */
  row(group, n) {
    const all = this.counts[group] ?? 0;
    const before = n ? n * this.perRow : 0;
    const count = Math.min(this.perRow, all - before);
    const top = (this.tops[group] ?? 0) + this.headHeight + n * this.rowHeight;
    const first = (this.firsts[group] ?? 0) + before;
    const number = (this.before[group] ?? 0) + (this.headHeight ? 1 : 0) + n + 1;
    return { key: `row-${first}`, head: false, group, first, count, number, top, height: this.rowHeight };
  }

  /** @param {number} item */
  groupOf(item) {
    let group = Math.max(0, lastAtMost(this.firsts, item));
    while (group > 0 && !this.counts[group]) group--;
    return group;
  }

  /**
   * The row of an item; null where its group is closed.
   * @param {number} item
   */
  rowOf(item) {
    if (item < 0 || item >= this.items) return null;
    const group = this.groupOf(item);
    if (this.closed.has(group)) return null;
    const within = item - (this.firsts[group] ?? 0);
    return this.row(group, Number.isFinite(this.perRow) ? Math.floor(within / this.perRow) : 0);
  }

  /**
   * The item that is `by` items away, closed groups left out; `item` itself at either end.
   * @param {number} item
   * @param {number} by
   */
  beside(item, by) {
    let at = item + by;
    while (at >= 0 && at < this.items) {
      const group = this.groupOf(at);
      if (!this.closed.has(group)) return at;
      at = by > 0 ? (this.firsts[group] ?? 0) + (this.counts[group] ?? 0) : (this.firsts[group] ?? 0) - 1;
    }
    return item;
  }

  /**
   * The item in the same place of the next row, or of the one before; `item` itself at either end.
   * @param {number} item
   * @param {1 | -1} by
   */
  below(item, by) {
    const row = this.rowOf(item);
    if (!row) return this.beside(item, by);
    const next = this.rowOf(this.beside(by > 0 ? row.first + row.count - 1 : row.first, by));
    if (!next || next.first === row.first) return item;
    return next.first + Math.min(item - row.first, next.count - 1);
  }
}

/**
 * The index of the last of these rising numbers that is at most `value`; -1 where none is.
 * @param {number[]} numbers
 * @param {number} value
 */
function lastAtMost(numbers, value) {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
