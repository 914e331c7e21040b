// The queue: running batches, planned batches with the reason why each run waits, and failures.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../lib/api.js";
import { clean, count, duration, isNumber, timeLeft, when } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { paint, throttled } from "../lib/view.js";
import { confirmed, guarded } from "../parts/dialogs.js";
import { expectedRuns } from "../parts/expected.js";
import { actions, badge, bar, causeOf, priorityChip, runLink, stepText } from "../parts/run_parts.js";
import { retriedLater, waitingGroups } from "./waiting.js";

/** @import { ActiveBatch, Queue, RunningVideo, Video, VideoList, WorkerInfo } from "../lib/schema.js" */
/** @import { ProgressEvent } from "../lib/live.js" */

const PLAN_AGE = 5000; // ms after which the plan is read again: a new plan of a worker is no event

/** @type {Record<string, string>} */
const MODES = { running: "Running", paused: "Paused", draining: "Draining" };

/** @type {import("../lib/view.js").View} */
export async function view(root, _params, signal) {
  /** @type {{ queue: Queue, troubled: VideoList, unplanned: Video[] } | null} */
  let shown = null;
  const refresh = async () => {
    const [queue, troubled] = await Promise.all([
      api.queue({ signal }),
      api.videos({ state: "failed,blocked", limit: 3 }, { signal }),
    ]);
    const unplanned = await unplannedRuns(queue, signal);
    shown = { queue, troubled, unplanned };
    draw();
  };
  const refreshSoon = throttled(refresh);
  const draw = () => {
    if (!shown || signal.aborted) return;
    const { queue, troubled, unplanned } = shown;
    paint(
      root,
      html`<h1>Queue</h1>
        <section class="bar-top">${head(queue, refresh)}</section>
        <section>${runningBatches(queue.running, refreshSoon)}</section>
        <section class="trouble">${failures(troubled, refreshSoon)}</section>
        <section>${waitingGroups(queue, unplanned, refreshSoon)}</section>
        <section>${retriedLater(queue.held_back)}</section>
        <section>${expectedRuns(queue.expected)}</section>`,
    );
  };
  for (const kind of /** @type {const} */ (["queue", "video.state", "resync"])) listen(kind, refreshSoon, signal);
  const progress = (/** @type {ProgressEvent} */ event) => {
    if (shown && applyProgress(shown.queue, event)) draw();
  };
  listen("video.progress", progress, signal);
  const timer = setInterval(refreshSoon, PLAN_AGE);
  signal.addEventListener("abort", () => clearInterval(timer));
  await refresh();
}

/**
 * Enter a run's progress into the queue. Returns whether the run is in a running batch.
 * @param {Queue} queue
 * @param {ProgressEvent} event
 */
function applyProgress(queue, { video, step, steps, eta_seconds: eta }) {
  const batch = queue.running.find((each) => each.runs.some((run) => run.id === video));
  const run = batch?.runs.find((each) => each.id === video);
  if (!batch || !run) return false;
  Object.assign(run, { step, steps, eta_seconds: eta });
  const etas = batch.runs.map((each) => each.eta_seconds).filter(isNumber);
  batch.eta_seconds = etas.length ? Math.max(...etas) : null;
  return true;
}

/**
 * Waiting runs outside the plan, which came after it or are behind those that it names.
 * @param {Queue} queue
 * @param {AbortSignal} signal
 * @returns {Promise<Video[]>}
 */
async function unplannedRuns({ counts, groups, held_back: held }, signal) {
  const planned = groups.reduce((sum, group) => sum + group.runs_total, 0) + Object.keys(held).length;
  if (waitingIn(counts) <= planned) return [];
  const { data } = await api.videos({ state: "queued,preempted", limit: 50 }, { signal });
  const shown = new Set([
    ...Object.keys(held),
    ...groups.flatMap((group) => group.batches.flatMap((batch) => batch.runs.map((run) => run.id))),
  ]);
  return data.filter((video) => !shown.has(video.id));
}

/** @param {Record<string, number>} counts */
const waitingIn = (counts) => (counts.queued ?? 0) + (counts.preempted ?? 0);

/**
 * @param {Queue} queue
 * @param {() => Promise<void>} refresh
 */
function head({ mode, counts, seconds, workers, trouble }, refresh) {
  const set = (/** @type {"pause" | "resume" | "drain"} */ verb) =>
    guarded(async () => {
      if (verb === "drain" && !(await drainConfirmed())) return;
      await api.setQueue(verb);
      await refresh();
    });
  const alive = workers.some((worker) => worker.alive);
  return html`<div class="row spread">
      <p class="lead">${MODES[mode] ?? mode} <span class="soft">${modeText(mode, counts, seconds)}</span></p>
      <div class="row">
        ${mode === "running"
          ? html`<button type="button" data-key="pause" @click=${set("pause")}>Pause</button>
              <button type="button" data-key="drain" @click=${set("drain")}>Drain</button>`
          : html`<button type="button" class="primary" data-key="resume" @click=${set("resume")}>Resume</button>`}
      </div>
    </div>
    <ul class="workers">${repeat(workers, (worker) => worker.id, workerRow)}</ul>
    ${alive || trouble || mode !== "running"
      ? nothing
      : html`<p class="banner warn">No worker is alive. Runs are kept, and start when a worker starts.</p>`}`;
}

const drainConfirmed = () =>
  confirmed(
    "Drain the queue?",
    "Running runs are finished and no other run starts, so that the server can be stopped. Waiting runs are kept.",
    "Drain",
  );

/** @param {WorkerInfo} worker */
const workerRow = (worker) => html`<li>
  <span class="dot ${worker.alive ? "on" : "off"}" aria-hidden="true"></span>
  ${[worker.id, worker.device].filter(Boolean).map(clean).join(", ")}:
  ${worker.alive ? clean(worker.trouble || worker.state) : `no report since ${when(worker.seen)}`}
</li>`;

/**
 * @param {string} mode
 * @param {Record<string, number>} counts
 * @param {number} seconds
 */
function modeText(mode, counts, seconds) {
  const waiting = waitingIn(counts);
  const time = seconds > 0 ? `, about ${duration(seconds)} of work` : "";
  const work = waiting ? `${count(waiting, "run")} waiting${time}` : "nothing waits";
  const running = (counts.running ?? 0) + (counts.leased ?? 0);
  const device = running ? `${count(running, "run")} running: saved at the next step` : "The GPU is free";
  if (mode === "paused") return `It resumes when you say so. ${device}; ${work}.`;
  return mode === "draining" ? `Running runs are finished, no other run starts; ${work}.` : `${work}.`;
}

/**
 * @param {VideoList} troubled
 * @param {() => void} refresh
 */
function failures({ data, has_more: more }, refresh) {
  if (!data.length) return nothing;
  const row = (/** @type {Video} */ video) => html`<li>
    <div class="grow">
      <div class="row tight nowrap">${badge(video.state)}${runLink(video.id, video.prompt, "one-line")}</div>
      <p class="cause two-lines">${causeOf(video)}</p>
    </div>
    <div class="row tight">${actions(video, refresh, { small: true })}</div>
  </li>`;
  return html`<div class="row spread">
      <h2>Failed</h2>
      <a href="#/runs?state=failed,blocked">${more ? "Show all" : "Open in Runs"}</a>
    </div>
    <ul class="list card">${repeat(data, (video) => video.id, row)}</ul>`;
}

/**
 * @param {ActiveBatch[]} running
 * @param {() => void} refresh
 */
function runningBatches(running, refresh) {
  if (!running.length) return nothing;
  const card = (/** @type {ActiveBatch} */ batch) => batchCard(batch, refresh);
  return html`<h2>Running now</h2>${repeat(running, (batch) => batch.batch, card)}`;
}

/**
 * @param {ActiveBatch} batch
 * @param {() => void} refresh
 */
function batchCard(batch, refresh) {
  const shape = `${batch.width}×${batch.height}, ${count(batch.frames, "frame")}`;
  const row = (/** @type {RunningVideo} */ run) => runningRow(run, refresh);
  return html`<article class="card running" data-batch=${batch.batch}>
    <div class="row spread">
      <h3>Batch ${batch.batch}: ${count(batch.runs.length, "run")}, ${shape}</h3>
      <p class="soft num">${etaText(batch)}</p>
    </div>
    <ul class="list">${repeat(batch.runs, (run) => run.id, row)}</ul>
  </article>`;
}

/**
 * @param {RunningVideo} run
 * @param {() => void} refresh
 */
const runningRow = (run, refresh) => html`<li data-run=${run.id}>
  <div class="grow">
    <div class="row spread nowrap">
      <span class="one-line">${priorityChip(run.priority)} ${runLink(run.id, run.prompt)}</span>
      <span class="soft num steps">${stepText(run)}</span>
    </div>
    ${bar(run.step, run.steps, `steps of ${clean(run.prompt).slice(0, 60)}`)}
  </div>
  <div class="row tight">${actions({ ...run, state: "running" }, refresh, { small: true, urgent: false })}</div>
</li>`;

/** @param {ActiveBatch} batch */
function etaText({ eta_seconds: eta, step, steps }) {
  if (isNumber(eta)) return timeLeft(eta);
  return steps && step >= steps ? "being written" : "time left: unknown";
}
