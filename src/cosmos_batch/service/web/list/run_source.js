// The runs of a list: the outline of all, and the details of those in sight.

import { api } from "../lib/api.js";
import { selection } from "../lib/selection.js";

/** @import { Outline, Video } from "../lib/schema.js" */
/** @import { ProgressEvent } from "../lib/live.js" */
/** @import { Query } from "../lib/api.js" */

const MOST = 100; // runs of one look-up
const KEPT = 3000; // details in memory

/** @type {Outline} */
const NOTHING = {
  object: "outline",
  ids: [],
  states: [],
  ratings: [],
  scores: [],
  groups: [],
  columns: [],
  cells: [],
  counts: {},
  has_more: false,
};

export class RunSource {
  /**
   * @param {AbortSignal} signal
   * @param {() => void} changed called when details have come
   */
  constructor(signal, changed) {
    this.signal = signal;
    this.changed = changed;
    this.outline = NOTHING;
    /** @type {Map<string, Video>} */
    this.details = new Map();
    /** @type {Set<string>} */
    this.wanted = new Set();
    this.fetching = false;
  }

  get total() {
    return this.outline.ids.length;
  }

  /**
   * Load the outline of the runs that pass. Throws ApiError.
   * @param {Query} conditions
   */
  async load(conditions) {
    this.outline = await api.outline(conditions, { signal: this.signal });
    selection.remember(this.outline.ids);
  }

  /**
   * Show these runs until the outline of all is loaded.
   * @param {Video[]} videos
   */
  start(videos) {
    for (const video of videos) this.keep(video);
    const [ids, states] = [videos.map((video) => video.id), videos.map((video) => video.state)];
    const ratings = videos.map((video) => video.rating ?? null);
    this.outline = { ...NOTHING, ids, states, ratings };
    selection.remember(ids);
  }

  /** @param {number} at */
  id(at) {
    return this.outline.ids[at] ?? "";
  }

  /** @param {number} at */
  state(at) {
    return this.outline.states[at] ?? "";
  }

  /**
   * Ask for the details of runs that are in sight; `anew`: also of known ones.
   * @param {string[]} ids
   * @param {boolean} [anew]
   */
  want(ids, anew = false) {
    this.wanted = new Set(ids.filter((id) => anew || !this.details.has(id)));
    if (this.wanted.size) this.fetch();
  }

  async fetch() {
    if (this.fetching) return; // what is wanted by then comes next
    this.fetching = true;
    try {
      while (this.wanted.size && !this.signal.aborted) {
        const ids = [...this.wanted].slice(0, MOST);
        const { data } = await api.lookUp(ids, { signal: this.signal });
        for (const id of ids) this.wanted.delete(id);
        for (const video of data) this.keep(video);
        this.changed();
      }
    } catch {
      this.wanted.clear(); // a lost server shows in the header, and "resync" follows
    } finally {
      this.fetching = false;
    }
  }

  /** @param {Video} video */
  keep(video) {
    this.details.delete(video.id);
    this.details.set(video.id, video);
    const oldest = this.details.keys().next().value;
    if (this.details.size > KEPT && oldest !== undefined) this.details.delete(oldest);
  }

  /**
   * Show a rating before the server has it; returns what takes it back.
   * @param {string[]} ids
   * @param {number | null} rating
   */
  rate(ids, rating) {
    const places = ids.map((id) => selection.place(id));
    const before = places.map((at) => this.outline.ratings[at] ?? null);
    const put = (/** @type {(n: number) => number | null} */ value) => {
      for (const [n, id] of ids.entries()) {
        const at = places[n] ?? -1;
        if (at >= 0) this.outline.ratings[at] = value(n);
        const video = this.details.get(id);
        if (video) video.rating = value(n);
      }
      this.changed();
    };
    put(() => rating);
    return () => put((n) => before[n] ?? null);
  }

  /**
   * Enter the progress of a run. Returns whether its details are known.
   * @param {ProgressEvent} event
   */
  showProgress({ video: id, step, steps, eta_seconds: eta }) {
    const video = this.details.get(id);
    if (video) Object.assign(video, { step, steps, eta_seconds: eta });
    return Boolean(video);
  }
}
