// A matrix of runs: a row for each group, a column for each value, and the runs of both stacked in the cell.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { contentUrl } from "../lib/api.js";
import { clean, count } from "../lib/format.js";
import { stateLabel } from "../lib/server.js";
import { stateMark } from "../parts/run_parts.js";
import { selection } from "../lib/selection.js";

/** @import { Outline, OutlineGroup } from "../lib/schema.js" */
/** @import { PlacedRow } from "./row_layout.js" */

/**
 * Sizes in pixels. `wrapped`: the columns do not fit beside each other, and follow each other in lines of `perLine`;
 * `stack`: the most runs of a cell that show; `thumb`: width of a picture.
 * @typedef {{ wrapped: boolean, perLine: number, cell: number, thumb: number, stack: number, rowHeight: number }} MatrixSize
 */

const HEAD = 150; // width of the row heads, beside the cells
const GAP = 6;
const LEAST = 64; // width of a column
const LEAST_WRAPPED = 104;
const MOST_STACKED = 6;
const MOST_THUMB = 150;
const LABEL = 22; // height of a text line

/**
 * The sizes of a matrix in this width.
 * @param {Outline} outline
 * @param {number} width
 * @returns {MatrixSize}
 */
export function matrixSize(outline, width) {
  const columns = Math.max(1, outline.columns.length);
  const room = width - HEAD;
  const wrapped = room / columns < LEAST || width < 640;
  const perLine = wrapped ? Math.max(1, Math.floor(width / LEAST_WRAPPED)) : columns;
  const cell = Math.floor((wrapped ? width : room) / perLine);
  const thumb = Math.min(MOST_THUMB, cell - GAP);
  const stack = Math.min(MOST_STACKED, largestStack(outline));
  const tall = stack * (Math.round((thumb * 9) / 16) + 4) + GAP;
  const lines = Math.ceil(columns / perLine);
  const rowHeight = wrapped ? LABEL + 14 + lines * (tall + LABEL) : Math.max(LABEL * 3, tall + 4);
  return { wrapped, perLine, cell, thumb, stack, rowHeight };
}

/** @param {Outline} outline */
function largestStack({ groups, cells }) {
  let [most, first] = [1, 0];
  for (const group of groups) {
    let run = 0;
    for (let at = first; at < first + group.runs; at++) {
      run = at > first && cells[at] === cells[at - 1] ? run + 1 : 1;
      most = Math.max(most, run);
    }
    first += group.runs;
  }
  return most;
}

/**
 * The heads of the columns; nothing where every cell has its own.
 * @param {Outline} outline
 * @param {MatrixSize} size
 */
export function matrixHead(outline, size) {
  if (size.wrapped) return nothing;
  const head = (/** @type {OutlineGroup} */ column) => html`<div
    role="columnheader"
    class="two-lines"
    .style=${`width: ${size.cell}px`}
    title=${clean(column.label)}
  >${labelOf(column)}</div>`;
  return html`<div class="matrix-head" role="row">
    <div role="columnheader" .style=${`width: ${HEAD}px`}><span class="unseen">Row</span></div>
    ${outline.columns.map(head)}
  </div>`;
}

/** @param {OutlineGroup} group */
const labelOf = (group) => (group.value === null ? "none" : clean(group.label));

/**
 * One row of the matrix.
 * @param {PlacedRow} row
 * @param {Outline} outline
 * @param {MatrixSize} size
 */
export function matrixRow(row, outline, size) {
  const group = outline.groups[row.group];
  if (!group) return nothing;
  /** @type {number[][]} */
  const stacks = outline.columns.map(() => []);
  for (let at = row.first; at < row.first + row.count; at++) stacks[outline.cells[at] ?? 0]?.push(at);
  const cell = (/** @type {number[]} */ stack, /** @type {number} */ column) =>
    matrixCell(stack, outline, size, outline.columns[column]);
  const side = size.wrapped ? "" : `width: ${HEAD}px`;
  return html`<div role="rowheader" class="matrix-side ${size.wrapped ? "wrapped" : ""}" .style=${side} title=${clean(group.label)}>
      <b class=${size.wrapped ? "one-line words" : "two-lines words"}>${labelOf(group)}</b>
      <span class="soft small-print">${count(group.runs, "run")}</span>
    </div>
    ${stacks.map(cell)}`;
}

/**
 * @param {number[]} stack
 * @param {Outline} outline
 * @param {MatrixSize} size
 * @param {OutlineGroup | undefined} column
 */
function matrixCell(stack, outline, size, column) {
  const hidden = stack.length - size.stack;
  const tall = Math.round((size.thumb * 9) / 16);
  return html`<div class="matrix-cell" role="none" .style=${`width: ${size.cell}px`}>
    ${size.wrapped && column
      ? html`<span class="one-line soft small-print" title=${clean(column.label)}>${labelOf(column)}</span>`
      : nothing}
    ${stack.slice(0, size.stack).map((at) => matrixRun(at, outline, size.thumb, tall))}
    ${hidden > 0 ? html`<span class="more">+${hidden}</span>` : nothing}
  </div>`;
}

/**
 * @param {number} at
 * @param {Outline} outline
 * @param {number} width
 * @param {number} height
 */
function matrixRun(at, outline, width, height) {
  const [id = "", state = ""] = [outline.ids[at], outline.states[at]];
  const [rating, score] = [outline.ratings[at], outline.scores[at]];
  const made = state === "succeeded";
  const facts = [score === null || score === undefined ? "" : score.toFixed(2), rating ? `${rating}★` : ""];
  const marks = `${selection.has(id) ? "chosen" : ""} ${selection.active === id ? "active" : ""}`;
  return html`<div
    class="matrix-run ${state} ${marks}"
    role="gridcell"
    id="run-${id}"
    data-run=${id}
    data-look
    aria-selected=${selection.has(id)}
    aria-label="${clean(id)}: ${stateLabel(state)} ${facts.join(" ")}"
    title=${clean(id)}
    .style=${`width: ${width}px; height: ${height}px`}
  >
    ${made
      ? html`<img src=${contentUrl(id, "thumbnail")} alt="" loading="lazy" draggable="false" />`
      : html`<span aria-hidden="true">${stateMark(state)}</span>`}
    <small class="num">${facts.filter(Boolean).join(" ")}</small>
  </div>`;
}
