// Waiting runs, by planned launch and batch, in the order of the plan.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { clean, count, duration, size } from "../lib/format.js";
import { actions, badge, priorityChip, runLink } from "../parts/run_parts.js";

/** @import { ForecastBatch, ForecastLaunch, Queue } from "../lib/schema.js" */
/** @import { RunSummary } from "../parts/run_parts.js" */

const OPEN_BATCHES = 3; // batches of a launch that are unfolded at first
const FEW = 12; // waiting runs up to which every launch is unfolded at first
const WAITING = ["queued", "preempted"];

/**
 * The planned launches, and the waiting runs that are in none.
 * @param {Queue} queue
 * @param {(RunSummary & { reason: string })[]} unplanned
 * @param {() => void} refresh
 */
export function waitingGroups(queue, unplanned, refresh) {
  if (!queue.groups.length && !unplanned.length) {
    return queue.running.length || Object.keys(queue.held_back).length ? nothing : emptyQueue();
  }
  const runs = queue.groups.reduce((sum, group) => sum + group.runs_total, 0) + unplanned.length;
  const open = runs <= FEW;
  const card = (/** @type {ForecastLaunch} */ group) => html`<li>${groupCard(group, queue.mode, open, refresh)}</li>`;
  return html`<h2>Waiting</h2>
    <p class="soft">
      In the order of the plan, which is made anew when a run is added or removed.
      ${queue.flushed ? `Last planned because ${clean(queue.flushed)}.` : ""}
    </p>
    <ol class="groups">${repeat(queue.groups, (group) => group.index, card)}</ol>
    ${unplanned.length
      ? html`<details class="card group" ?open=${open}>
          <summary data-key="summary-unplanned"><h3>Not planned yet <span class="soft">${count(unplanned.length, "run")}</span></h3></summary>
          <ul class="list">${runRows(unplanned, refresh)}</ul>
        </details>`
      : nothing}`;
}

const emptyQueue = () => html`<div class="empty card">
  <p>No run is running or waiting.</p>
  <a class="button primary" href="#/new">Make a video</a>
</div>`;

/**
 * Runs that are retried after a delay, with the reason.
 * @param {Record<string, string>} held
 */
export function retriedLater(held) {
  const runs = Object.entries(held);
  if (!runs.length) return nothing;
  const row = (/** @type {[string, string]} */ [id, reason]) => html`<li>
    <div class="grow">${runLink(id, id)}<p class="soft why">${clean(reason)}</p></div>
  </li>`;
  return html`<h2>Retried later</h2>
    <details class="card group" ?open=${runs.length <= FEW}>
      <summary data-key="summary-later"><h3>${count(runs.length, "run")}</h3></summary>
      <ul class="list">${repeat(runs, ([id]) => id, row)}</ul>
    </details>`;
}

/**
 * @param {ForecastLaunch} group
 * @param {string} mode
 * @param {boolean} open whether it is unfolded at first
 * @param {() => void} refresh
 */
function groupCard(group, mode, open, refresh) {
  const controls = group.controls.length ? group.controls.join(" + ") : "no control";
  const part = (/** @type {ForecastBatch} */ batch, /** @type {number} */ n) => batchPart(group, batch, n, refresh);
  return html`<details class="card group" ?open=${open}>
    <summary data-key="summary-${group.index}">
      <h3>${controls} <span class="soft">${count(group.runs_total, "run")}</span></h3>
      <span class="soft num">${startText(group.starts_in_seconds, mode)}, takes ${duration(group.seconds)}</span>
    </summary>
    <p class="soft">${clean(group.reason)}</p>
    ${repeat(group.batches, (_, n) => n, part)}
  </details>`;
}

/**
 * @param {number} seconds
 * @param {string} mode
 */
function startText(seconds, mode) {
  if (mode === "running") return seconds > 1 ? `starts in ${duration(seconds)}` : "starts next";
  return seconds > 1 ? `${duration(seconds)} after you resume` : "first when you resume";
}

/**
 * @param {ForecastLaunch} group
 * @param {ForecastBatch} batch
 * @param {number} n
 * @param {() => void} refresh
 */
function batchPart(group, batch, n, refresh) {
  const facts = [
    `${batch.width}×${batch.height}`,
    count(batch.frames, "frame"),
    duration(batch.seconds),
    ...(batch.bytes > 0 ? [size(batch.bytes)] : []),
  ];
  const hidden = batch.runs_total - batch.runs.length;
  return html`<details class="batch" ?open=${n < OPEN_BATCHES}>
    <summary data-key="summary-${group.index}-${n}">
      ${batch.runs_total === 1 ? "Alone" : `Batch of ${batch.runs_total}`}
      <span class="soft num">${facts.join(" · ")}</span>
    </summary>
    <ul class="list">
      ${runRows(stillWaiting(batch.runs), refresh)}
      ${hidden > 0 ? html`<li class="soft">and ${count(hidden, "more run")}</li>` : nothing}
    </ul>
  </details>`;
}

/**
 * The runs of a planned batch that still wait: the plan may be some seconds old.
 * @template {RunSummary} T
 * @param {T[]} runs
 */
const stillWaiting = (runs) => runs.filter((run) => WAITING.includes(run.state));

/**
 * @param {(RunSummary & { reason: string })[]} runs
 * @param {() => void} refresh
 */
const runRows = (runs, refresh) =>
  repeat(
    runs,
    (run) => run.id,
    (run) => html`<li data-run=${run.id}>
      <div class="grow">
        <span class="one-line">
          ${run.state === "queued" ? nothing : badge(run.state)} ${priorityChip(run.priority)}
          ${runLink(run.id, run.prompt)}
        </span>
        <p class="soft why">${clean(run.reason)}</p>
      </div>
      <div class="row tight">${actions(run, refresh, { small: true })}</div>
    </li>`,
  );
