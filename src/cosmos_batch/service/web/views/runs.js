// All runs: as grid, table or matrix, in groups; filters, selection, and the keys to look through them.

import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { api } from "../lib/api.js";
import { listen } from "../lib/live.js";
import { selection } from "../lib/selection.js";
import { server, stateLabel } from "../lib/server.js";
import { inputOf, messageOf, paint, throttled } from "../lib/view.js";
import { bulkBar } from "../list/bulk_bar.js";
import { ARRANGEMENTS, FILTERS, choice, conditionsOf, filterForm, groupOptions, sortOptions } from "../list/filter_form.js";
import { LIST_KEYS, isForPage, showKeys } from "../list/key_help.js";
import { quickLook } from "../list/quick_look.js";
import { RunGrid } from "../list/run_grid.js";
import { RunSource } from "../list/run_source.js";
import { limitsOf, scoreFilter, withLimits, withoutScore } from "../list/score_filter.js";
import { toast } from "../parts/dialogs.js";

/** @import { Histogram, RunLabelCounts } from "../lib/schema.js" */

const RELOAD = 2000; // ms between two loads of a list that changes
const RELOAD_LONG = 6000; // of a list of more than `LONG` runs
const LONG = 2000;
const FIRST = 30; // runs that show before the outline of all has come

/** @type {import("../lib/view.js").View} */
export async function view(root, { query }, signal) {
  const list = new RunList(root, query, signal);
  for (const kind of /** @type {const} */ (["video.state", "resync"])) listen(kind, () => list.follow(), signal);
  listen("video.progress", (event) => list.source.showProgress(event) && list.grid.drawSoon(), signal);
  document.addEventListener("keydown", (event) => list.press(event), { signal });
  selection.addEventListener("change", () => list.draw(), { signal });
  await Promise.all([list.loadFirst(), list.load()]);
  if (list.grid.active > 0) list.grid.goTo(list.grid.active); // back from the page of a run
}

class RunList {
  /**
   * @param {HTMLElement} root
   * @param {URLSearchParams} query
   * @param {AbortSignal} signal
   */
  constructor(root, query, signal) {
    this.root = root;
    this.signal = signal;
    this.filters = Object.fromEntries([...FILTERS, ...ARRANGEMENTS].map((name) => [name, query.get(name) ?? ""]));
    this.filtersOpen = false; // on a phone
    /** @type {RunLabelCounts} */
    this.labels = { object: "labels", sweeps: {}, tags: {} };
    /** @type {Histogram | null} */
    this.histogram = null;
    const pick = query.get("pick");
    if (pick) selection.set([pick], true);
    this.source = new RunSource(signal, () => {
      this.grid.drawSoon();
      this.look();
    });
    const act = { sort: (/** @type {string} */ by) => this.set("sort", by), refresh: () => this.refreshSoon(), look: () => this.open() };
    this.grid = new RunGrid(this.source, act, signal);
    this.look = () => {}; // draws the quick look, while it is open
    this.head = document.createElement("div");
    this.foot = document.createElement("div");
    this.head.className = "runs-head";
    this.foot.className = "foot";
    this.bar = document.createElement("div");
    Object.assign(this.bar, { className: "bulk", role: "region", ariaLabel: "Selected runs" });
    root.append(this.head, this.bar, this.grid.element, this.foot);
    this.refreshSoon = throttled(
      () => this.refresh(),
      () => (this.source.total > LONG ? RELOAD_LONG : RELOAD),
    );
    this.applySoon = throttled(
      () => this.apply(),
      () => 250,
    );
    this.loaded = false;
    this.draw();
  }

  get filter() {
    return conditionsOf(this.filters);
  }

  get matrix() {
    return this.filters.view === "matrix";
  }

  /** The query of the list. */
  get conditions() {
    const [sort = "created", order = "desc"] = (this.filters.sort || "created:desc").split(":");
    const { group = "", columns = "" } = this.filters;
    return {
      ...this.filter,
      sort,
      order,
      group_by: group || (this.matrix ? "video" : ""),
      columns: this.matrix ? columns || "prompt" : "",
    };
  }

  /** Load the list, and what its filters offer. Throws ApiError. */
  async load() {
    await Promise.all([this.source.load(this.conditions), this.loadHistogram()]);
    if (this.signal.aborted) return;
    this.loaded = true;
    this.arrange();
    this.labels = await api.labels({ signal: this.signal });
    this.draw();
  }

  /** Show the first runs of a list without groups while the outline of all is on its way. Throws ApiError. */
  async loadFirst() {
    const { group_by: group, columns, ...conditions } = this.conditions;
    if (group || columns) return;
    const { data } = await api.videos({ ...conditions, limit: FIRST }, { signal: this.signal });
    if (this.loaded || this.signal.aborted) return;
    this.source.start(data);
    this.arrange();
  }

  async loadHistogram() {
    const { scores = "", score = "" } = this.filters;
    const others = { ...this.filter, score: withoutScore(score, scores) };
    this.histogram = scores ? await api.histogram({ ...others, of: scores }, { signal: this.signal }) : null;
  }

  /** Load the list anew soon; not while it is being loaded, which the connection of the event stream falls into. */
  follow() {
    if (this.loaded) this.refreshSoon();
    else setTimeout(this.refreshSoon, RELOAD_LONG);
  }

  /** Load what is shown once more; what is in sight stays where it is. */
  async refresh() {
    const mark = this.grid.mark();
    await this.load();
    if (this.signal.aborted) return;
    this.grid.restore(mark);
    const rows = this.grid.rowsInSight().filter((row) => !row.head);
    const ids = rows.flatMap((row) => this.source.outline.ids.slice(row.first, row.first + row.count));
    if (!this.matrix) this.source.want(ids, true);
  }

  arrange() {
    this.grid.arrangement = this.matrix ? "matrix" : this.filters.view === "table" ? "table" : "grid";
    this.grid.sorted = this.filters.sort ?? "";
    this.draw();
    this.grid.arrange();
  }

  /** Take the changed filters into the address, and load anew. */
  async apply() {
    const set = Object.entries(this.filters).filter(([, value]) => value !== "");
    history.replaceState(null, "", `#/runs${set.length ? `?${new URLSearchParams(set)}` : ""}`);
    try {
      await this.load();
    } catch (error) {
      if (!this.signal.aborted) toast(messageOf(error), "bad");
    }
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  set(name, value) {
    this.filters[name] = value;
    this.applySoon();
  }

  draw() {
    if (this.signal.aborted) return;
    const act = {
      change: (/** @type {string} */ name, /** @type {string} */ value) => this.set(name, value),
      apply: () => this.apply(),
      toggle: () => {
        this.filtersOpen = !this.filtersOpen;
        this.draw();
      },
    };
    paint(
      this.head,
      html`<div class="row spread">
          <h1>Runs</h1>
          <p class="soft num counts">${this.loaded ? this.countsText() : "loading"}</p>
        </div>
        ${filterForm(this.filters, this.labels, this.filtersOpen, act)}${this.toolbar()}
        ${this.histogram ? scoreFilter(this.histogram, limitsOf(this.filters.score ?? "", this.histogram.score), (limits) => this.brush(limits)) : nothing}`,
    );
    this.drawBulk();
    const { has_more: more } = this.source.outline;
    render(
      html`${this.loaded && !this.source.total ? html`<p class="empty card">No run matches.</p>` : nothing}
      ${more ? html`<p class="banner warn">Further runs match: choose narrower filters to see them.</p>` : nothing}`,
      this.foot,
    );
  }

  drawBulk() {
    const template = bulkBar(this.source, () => this.refresh());
    this.bar.hidden = template === nothing;
    paint(this.bar, template);
  }

  countsText() {
    const { total, outline } = this.source;
    const states = Object.entries(outline.counts).map(([state, n]) => `${n.toLocaleString("en")} ${stateLabel(state)}`);
    return [`${total.toLocaleString("en")} ${total === 1 ? "run" : "runs"}`, ...(total ? states : [])].join(" · ");
  }

  toolbar() {
    const changed = (/** @type {Event} */ event) => this.set(inputOf(event).name, inputOf(event).value);
    const picker = (/** @type {string} */ label, /** @type {string} */ name, /** @type {string[][]} */ options) =>
      html`<label class="check small-print"><span class="soft">${label}</span>${choice(name, options, this.filters[name] ?? "", changed)}</label>`;
    const groups = groupOptions(this.labels);
    const scores = server().scores.map(({ name }) => [name, name]);
    return html`<div class="row toolbar">
      ${this.arrangements()}
      ${this.matrix
        ? html`${picker("Rows", "group", [["", "video"], ...groups.filter(([name]) => name !== "video")])}
          ${picker("Columns", "columns", [["", "prompt"], ...groups.filter(([name]) => name !== "prompt")])}`
        : picker("Group", "group", [["", "none"], ...groups])}
      ${picker("Order", "sort", sortOptions())} ${picker("Distribution", "scores", [["", "none"], ...scores])}
      <span class="grow"></span>
      <button type="button" class="small" ?disabled=${!this.source.total} @click=${() => this.selectAll()}>
        Select all ${this.source.total.toLocaleString("en")}
      </button>
      <button type="button" class="small" aria-label="Keys" title="Keys (?)" @click=${() => showKeys(LIST_KEYS)}>?</button>
    </div>`;
  }

  arrangements() {
    const one = (/** @type {string} */ value, /** @type {string} */ text) => html`<label
      ><input
        type="radio"
        name="view"
        class="unseen"
        value=${value}
        ?checked=${(this.filters.view || "") === value}
        @change=${() => this.set("view", value)}
      /><span>${text}</span></label
    >`;
    return html`<fieldset class="switch">
      <legend class="unseen">Arrangement</legend>
      ${one("", "Grid")}${one("table", "Table")}${one("matrix", "Matrix")}
    </fieldset>`;
  }

  /** @param {[number | null, number | null]} limits */
  brush(limits) {
    this.set("score", withLimits(this.filters.score ?? "", this.filters.scores ?? "", limits));
    this.draw();
  }

  selectAll() {
    selection.set(this.source.outline.ids, true);
  }

  /** Open the quick look at the active run. */
  async open() {
    if (document.querySelector("dialog.look") || this.grid.active < 0) return;
    await quickLook(
      this.source,
      { press: (event) => this.press(event), step: (by) => this.step(by), open: () => this.openPage() },
      (draw) => (this.look = draw),
    );
    this.grid.element.focus({ preventScroll: true });
  }

  openPage() {
    if (selection.active) location.hash = `#/run/${encodeURIComponent(selection.active)}`;
  }

  /** @param {number} by */
  step(by) {
    this.move(this.grid.layout.beside(this.grid.active, by), false);
  }

  /**
   * @param {number} at
   * @param {boolean} extend
   */
  move(at, extend) {
    if (extend && !selection.has(selection.active)) selection.toggle(selection.active, true);
    if (!document.querySelector("dialog.look")) this.grid.element.focus({ preventScroll: true });
    this.grid.goTo(at);
    if (extend) selection.extend(selection.active);
    this.look();
  }

  /** @param {number | null} rating */
  async rate(rating) {
    const id = selection.active;
    const takeBack = this.source.rate([id], rating);
    try {
      await api.rate(id, rating);
    } catch (error) {
      takeBack();
      toast(messageOf(error), "bad");
    }
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const all = (event.ctrlKey || event.metaKey) && event.key === "a";
    const field = event.target instanceof Element && event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
    if (all && !field) {
      event.preventDefault();
      this.selectAll();
      return;
    }
    if (!this.source.total || !isForPage(event) || !this.pressed(event)) return;
    event.preventDefault();
    this.look();
  }

  /**
   * Act on a key. Returns whether it is one of the list.
   * @param {KeyboardEvent} event
   */
  pressed({ key, shiftKey: shift }) {
    const { layout, active } = this.grid;
    /** @type {Record<string, () => number>} */
    const moves = {
      j: () => layout.beside(active, 1),
      k: () => layout.beside(active, -1),
      ArrowRight: () => layout.beside(active, 1),
      ArrowLeft: () => layout.beside(active, -1),
      ArrowDown: () => layout.below(active, 1),
      ArrowUp: () => layout.below(active, -1),
      Home: () => 0,
      End: () => this.source.total - 1,
    };
    const move = moves[key];
    if (move) this.move(move(), shift);
    else if (/^[0-5]$/.test(key)) void this.rate(Number(key) || null);
    else if (key === "x") selection.toggle(selection.active);
    else if (key === "X") selection.extend(selection.active);
    else if (key === "Enter") this.openPage();
    else if (key === " ") void this.open();
    else if (key === "?") void showKeys(LIST_KEYS);
    else if (key === "/") this.head.querySelector("input")?.focus();
    else if (key === "Escape" && selection.ids.size && !document.querySelector("dialog.look")) selection.clear();
    else return false;
    return true;
  }
}
