// The runs of a list, of which only those in sight are in the page. The focus stays on the whole, so that no run that
// scrolls out of sight takes it away; the active run is named by aria-activedescendant.

import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { clean, count } from "../lib/format.js";
import { selection } from "../lib/selection.js";
import { stateLabel } from "../lib/server.js";
import { paint } from "../lib/view.js";
import { matrixHead, matrixRow, matrixSize } from "./matrix.js";
import { RowLayout } from "./row_layout.js";
import { runCard, tableHead, tableRow } from "./run_card.js";

/** @import { RunSource } from "./run_source.js" */
/** @import { PlacedRow } from "./row_layout.js" */
/** @import { MatrixSize } from "./matrix.js" */

/** @typedef {"grid" | "table" | "matrix"} Arrangement */

const GAP = 12; // pixels between two cards
const BODY = 114; // height of a card under its picture
const LEAST = 216; // width of a card
const LEAST_ON_A_PHONE = 150;
const PHONE = 640; // width below which a table row has two lines
const HEAD = 46; // height of the head of a group
const AHEAD = 500; // pixels above and below the screen that are drawn

export class RunGrid {
  /**
   * @param {RunSource} source
   * @param {{ sort: (by: string) => void, refresh: () => void, look: () => void }} act
   * @param {AbortSignal} signal
   */
  constructor(source, act, signal) {
    this.source = source;
    this.act = act;
    /** @type {Arrangement} */
    this.arrangement = "grid";
    this.sorted = "";
    /** @type {Set<string | null>} */
    this.closed = new Set(); // values of the groups that are closed
    this.element = document.createElement("div");
    this.head = document.createElement("div");
    this.body = document.createElement("div");
    this.element.className = "run-list";
    this.head.className = "list-head";
    this.body.className = "list-body";
    this.head.role = this.body.role = "rowgroup";
    this.element.append(this.head, this.body);
    this.layout = new RowLayout({ counts: [], perRow: 1, rowHeight: 1, headHeight: 0, closed: new Set() });
    /** @type {MatrixSize | null} */
    this.matrix = null;
    this.cell = ""; // the size of a card
    this.width = 0;
    this.frame = 0;
    Object.assign(this.element, { role: "grid", tabIndex: 0, ariaLabel: "Runs found", ariaMultiSelectable: "true" });
    this.element.addEventListener("click", (event) => this.clicked(event));
    window.addEventListener("scroll", () => this.drawSoon(), { signal, passive: true });
    selection.addEventListener("change", () => this.drawSoon(), { signal });
    const observer = new ResizeObserver(() => this.element.clientWidth !== this.width && this.arrange());
    observer.observe(this.element);
    signal.addEventListener("abort", () => {
      observer.disconnect();
      cancelAnimationFrame(this.frame);
    });
  }

  get active() {
    return selection.place(selection.active);
  }

  /** Compute the places of all runs anew, and draw those in sight. */
  arrange() {
    const { outline } = this.source;
    this.width = this.element.clientWidth;
    if (!this.width) return;
    const phone = this.width < PHONE;
    const grouped = outline.groups.length > 0;
    const counts = grouped ? outline.groups.map((group) => group.runs) : [outline.ids.length];
    let [perRow, rowHeight, headHeight] = [1, phone ? 84 : 62, grouped ? HEAD : 0];
    this.matrix = null;
    if (this.arrangement === "grid") {
      perRow = Math.max(1, Math.floor((this.width + GAP) / ((phone ? LEAST_ON_A_PHONE : LEAST) + GAP)));
      const width = Math.floor((this.width - GAP * (perRow - 1)) / perRow);
      const height = Math.round((width * 9) / 16) + BODY;
      this.cell = `width: ${width}px; height: ${height}px`;
      rowHeight = height + GAP;
    } else if (this.arrangement === "matrix") {
      this.matrix = matrixSize(outline, this.width);
      [perRow, rowHeight, headHeight] = [Infinity, this.matrix.rowHeight, 0];
    }
    const closed = new Set(this.matrix ? [] : [...outline.groups.keys()].filter((n) => this.isClosed(n)));
    this.layout = new RowLayout({ counts, perRow, rowHeight, headHeight, closed });
    this.element.dataset.arrangement = this.arrangement;
    this.element.ariaRowCount = String(this.layout.rows);
    this.body.style.height = `${this.layout.height}px`;
    if (this.active < 0) selection.active = this.source.id(0);
    this.draw();
  }

  /** @param {number} group */
  isClosed(group) {
    return this.closed.has(this.source.outline.groups[group]?.value ?? null);
  }

  drawSoon() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.width) return;
    const rows = this.rowsInSight();
    render(this.headOf(), this.head);
    paint(
      this.body,
      repeat(
        rows,
        (row) => row.key,
        (row) => html`<div
          class=${row.head ? "group-head" : "run-row"}
          role=${this.arrangement === "table" && !row.head ? "none" : "row"}
          aria-rowindex=${this.arrangement === "table" && !row.head ? nothing : row.number}
          .style=${`top: ${row.top}px; height: ${row.height}px`}
        >${row.head ? this.groupHead(row) : this.row(row)}</div>`,
      ),
    );
    const items = rows.filter((row) => !row.head).flatMap((row) => this.source.outline.ids.slice(row.first, row.first + row.count));
    if (this.arrangement !== "matrix") this.source.want(items);
    if (selection.active && this.active >= 0) this.element.setAttribute("aria-activedescendant", `run-${selection.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** The rows on the screen and a little around it, and the row of the active run wherever it is. */
  rowsInSight() {
    const above = -this.body.getBoundingClientRect().top;
    const rows = this.layout.rowsIn(above - AHEAD, above + window.innerHeight + AHEAD);
    const own = this.layout.rowOf(this.active);
    if (own && !rows.some((row) => row.key === own.key)) rows.push(own);
    return rows;
  }

  headOf() {
    if (!this.source.total) return nothing;
    if (this.matrix) return matrixHead(this.source.outline, this.matrix);
    return this.arrangement === "table" ? tableHead(this.sorted, this.act.sort) : nothing;
  }

  /** @param {PlacedRow} row */
  row(row) {
    if (this.matrix) return matrixRow(row, this.source.outline, this.matrix);
    const items = Array.from({ length: row.count }, (_, n) => row.first + n);
    return repeat(
      items,
      (at) => this.source.id(at),
      (at) => {
        const run = this.listed(at);
        return this.arrangement === "table"
          ? tableRow(run, row.number, this.act.refresh)
          : runCard(run, this.cell, this.act.refresh);
      },
    );
  }

  /** @param {number} at */
  listed(at) {
    const id = this.source.id(at);
    const video = this.source.details.get(id);
    return { id, state: video?.state ?? this.source.state(at), rating: this.source.outline.ratings[at] ?? null, video };
  }

  /** @param {PlacedRow} row */
  groupHead(row) {
    const group = this.source.outline.groups[row.group];
    if (!group) return nothing;
    const closed = this.isClosed(row.group);
    const label = group.value === null ? "none" : clean(group.label);
    const { ids, states } = this.source.outline;
    const own = ids.slice(row.first, row.first + row.count);
    const chosen = selection.ids.size ? own.filter((id) => selection.has(id)).length : 0;
    const fold = () => {
      if (closed) this.closed.delete(group.value);
      else this.closed.add(group.value);
      this.arrange();
    };
    const select = () => selection.set(own, chosen < own.length);
    return html`<div role="gridcell" class="row tight nowrap group-line">
      <button type="button" class="plain fold" aria-expanded=${!closed} data-key="fold-${row.group}" @click=${fold}>
        <span aria-hidden="true">${closed ? "▸" : "▾"}</span><b class="one-line words">${label}</b>
      </button>
      <span class="soft num small-print one-line">${count(group.runs, "run")}${countsText(states, row)}</span>
      <label class="check small-print"
        ><input
          type="checkbox"
          aria-label="Select all of ${label}"
          data-key="all-${row.group}"
          .checked=${live(chosen === own.length)}
          .indeterminate=${chosen > 0 && chosen < own.length}
          @change=${select}
        />All</label
      >
    </div>`;
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const id = /** @type {HTMLElement | null} */ (target.closest("[data-run]"))?.dataset.run;
    if (!id) return;
    const plain = !event.shiftKey && !event.ctrlKey && !event.metaKey;
    if (target.closest("a") && plain) {
      selection.active = id;
      return; // the link opens
    }
    if (target.closest("button")) return;
    if (target.closest("a")) event.preventDefault();
    if (event.shiftKey) selection.extend(id);
    else if (!plain || target.closest("[data-box]")) selection.toggle(id);
    selection.active = id;
    this.element.focus({ preventScroll: true });
    if (plain && target.closest("[data-look]")) this.act.look();
    this.drawSoon();
  }

  /**
   * Make a run the active one, and bring it into sight.
   * @param {number} at
   */
  goTo(at) {
    if (at < 0 || at >= this.source.total) return;
    selection.active = this.source.id(at);
    this.show(at);
    this.draw();
  }

  /** @param {number} at */
  show(at) {
    const row = this.layout.rowOf(at);
    if (!row) return;
    const top = this.body.getBoundingClientRect().top + row.top;
    const [least, most] = [edgeAbove() + this.head.offsetHeight, window.innerHeight - row.height - edgeBelow()];
    if (top < least) window.scrollBy(0, top - least - 8);
    else if (top > most) window.scrollBy(0, Math.min(top - most + 8, top - least - 8));
  }

  /**
   * The first run in sight, and where it is; null at the top of the page, where new runs may push the others down.
   * @returns {{ id: string, top: number } | null}
   */
  mark() {
    const above = -this.body.getBoundingClientRect().top;
    const row = above > 0 ? this.layout.rowsIn(above, above + 1).find((each) => !each.head) : undefined;
    return row ? { id: this.source.id(row.first), top: row.top - above } : null;
  }

  /**
   * Scroll so that a marked run is where it was.
   * @param {{ id: string, top: number } | null} mark
   */
  restore(mark) {
    const row = mark && this.layout.rowOf(selection.place(mark.id));
    if (row) window.scrollBy(0, this.body.getBoundingClientRect().top + row.top - mark.top);
  }
}

/** The height of what covers the top of the page. */
const edgeAbove = () => document.querySelector(".top")?.getBoundingClientRect().height ?? 0;

/** The height of what covers its bottom: the links of a phone. */
function edgeBelow() {
  const nav = document.querySelector("nav");
  return nav && getComputedStyle(nav).position === "fixed" ? nav.offsetHeight : 0;
}

/**
 * The states of a group in words.
 * @param {string[]} states
 * @param {PlacedRow} row
 */
function countsText(states, row) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (let at = row.first; at < row.first + row.count; at++) {
    const state = states[at] ?? "";
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  if (counts.size === 1 && counts.has("succeeded")) return "";
  return `: ${[...counts].map(([state, n]) => `${n} ${stateLabel(state)}`).join(", ")}`;
}
