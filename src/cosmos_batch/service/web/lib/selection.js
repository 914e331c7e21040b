// The runs that are selected, and the order of the latest list: both outlive the view that shows them.

class Selection extends EventTarget {
  constructor() {
    super();
    /** @type {Set<string>} */
    this.ids = new Set();
    this.anchor = ""; // the run that a range begins at
    this.active = ""; // the run that the keys act on
    /** @type {string[]} */
    this.order = []; // the ids of the latest list
    /** @type {Map<string, number> | null} */
    this.places = null; // of the ids in that list
  }

  /** @param {string} id */
  has(id) {
    return this.ids.has(id);
  }

  /**
   * Keep the ids of a list, in order.
   * @param {string[]} ids
   */
  remember(ids) {
    this.order = ids;
    this.places = null;
  }

  /**
   * The place of a run in the latest list; -1 where it is not in it.
   * @param {string} id
   */
  place(id) {
    this.places ??= new Map(this.order.map((each, at) => [each, at]));
    return this.places.get(id) ?? -1;
  }

  /**
   * The runs before and after one in the latest list; null where there is none.
   * @param {string} id
   * @returns {[string | null, string | null]}
   */
  neighbours(id) {
    const at = this.place(id);
    return at < 0 ? [null, null] : [this.order[at - 1] ?? null, this.order[at + 1] ?? null];
  }

  /** The selected runs of the latest list, in order. */
  get listed() {
    return this.ids.size ? this.order.filter((id) => this.ids.has(id)) : [];
  }

  /**
   * Select a run, or remove it from the selection.
   * @param {string} id
   * @param {boolean} [on]
   */
  toggle(id, on = !this.ids.has(id)) {
    this.anchor = id;
    this.set([id], on);
  }

  /**
   * Select every run from the anchor to this one.
   * @param {string} id
   */
  extend(id) {
    const [a, b] = [this.place(this.anchor), this.place(id)];
    if (a < 0 || b < 0) this.toggle(id, true);
    else this.set(this.order.slice(Math.min(a, b), Math.max(a, b) + 1), true);
  }

  /**
   * @param {Iterable<string>} ids
   * @param {boolean} on
   */
  set(ids, on) {
    for (const id of ids) {
      if (on) this.ids.add(id);
      else this.ids.delete(id);
    }
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    this.ids.clear();
    this.dispatchEvent(new Event("change"));
  }
}

export const selection = new Selection();
