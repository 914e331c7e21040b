// The predicted cost of runs, from the server while the form is filled in.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { ApiError, api } from "../lib/api.js";
import { clean, count, duration, isNumber, percent, size } from "../lib/format.js";
import { messageOf } from "../lib/view.js";
import { warningList } from "./warning_list.js";

/** @import { PlanPreview as Plan, VideoRequest } from "../lib/schema.js" */

/**
 * A launch of a plan, as POST /v1/plan returns it.
 * @typedef {{ controls: string[], reason: string, batches: PlannedBatch[] }} PlannedLaunch
 * @typedef {{ runs: string[], width: number, height: number, frames: number, seconds: number,
 *   output_sizes: { width: number, height: number }[] }} PlannedBatch
 */

const PAUSE = 350; // ms without a change before a request

export class PlanPreview {
  /**
   * @param {() => void} changed called when there is something else to show
   * @param {AbortSignal} signal
   */
  constructor(changed, signal) {
    this.changed = changed;
    this.signal = signal;
    this.timer = 0;
    this.request = new AbortController();
    /** @type {Plan | null} */
    this.plan = null;
    /** @type {string[]} */
    this.problems = [];
  }

  /**
   * Plan these runs soon; none: show nothing.
   * @param {VideoRequest[]} bodies
   */
  update(bodies) {
    clearTimeout(this.timer);
    this.request.abort();
    if (bodies.length) this.timer = setTimeout(() => this.ask(bodies), PAUSE);
    else this.set(null, []);
  }

  /** @param {VideoRequest[]} bodies */
  async ask(bodies) {
    this.request = new AbortController();
    const { signal } = this.request;
    try {
      this.set(await api.plan(bodies, { signal }), []);
    } catch (error) {
      const problems = error instanceof ApiError ? error.problems : [];
      const lines = problems.map(({ field, message, remedy }) => `${field}: ${message}. ${remedy}`);
      if (!signal.aborted) this.set(null, lines.length ? lines : [messageOf(error)]);
    }
  }

  /**
   * @param {Plan | null} plan
   * @param {string[]} problems
   */
  set(plan, problems) {
    this.plan = plan;
    this.problems = problems;
    if (!this.signal.aborted) this.changed();
  }

  template() {
    return html`<div class="plan-body" aria-live="polite">${this.content()}</div>`;
  }

  content() {
    if (this.plan) return [planFacts(this.plan), warningList(this.plan.warnings, this.plan.runs > 1)];
    if (!this.problems.length)
      return html`<p class="soft">The predicted time shows here as soon as a video is chosen.</p>`;
    return html`<p class="soft">This cannot be planned yet.</p>
      <ul class="problems">${this.problems.map((line) => html`<li>${clean(line)}</li>`)}</ul>`;
  }
}

/** @param {Plan} plan */
function planFacts(plan) {
  const saved = plan.one_by_one_seconds - plan.seconds;
  const share = saved / plan.one_by_one_seconds;
  const margin = isNumber(plan.error) ? `, give or take ${percent(plan.error)}` : "";
  const soon = plan.starts_in_seconds > 1 ? `within ${duration(plan.starts_in_seconds)}` : "at once";
  const starts = plan.waits_for ? `later: ${clean(plan.waits_for)}` : soon;
  const launches = /** @type {PlannedLaunch[]} */ (/** @type {unknown} */ (plan.launches));
  return html`<p class="big-number num">${duration(plan.seconds)}<small class="soft">${margin}</small></p>
    <dl class="facts">
      ${fact("Makes", `${count(plan.runs, "video")} in ${count(plan.batches, "batch")}`)} ${fact("Starts", starts)}
      ${plan.bytes > 0 ? fact("GPU memory", size(plan.bytes)) : nothing}
      ${plan.drafts.map((draft) => fact("A draft", draftText(draft, plan.runs)))}
      ${share >= 0.005 ? fact("Saves", `${duration(saved)} against one by one (${percent(share)})`) : nothing}
    </dl>
    <details>
      <summary>Planned batches</summary>
      ${launches.map(
        (launch) => html`<div class="launch">
          <p><b>${launch.controls.join(" + ") || "no control"}</b> ${clean(launch.reason)}</p>
          <ul>${launch.batches.map(batchRow)}</ul>
        </div>`,
      )}
    </details>`;
}

/**
 * @param {Plan["drafts"][number]} draft
 * @param {number} runs
 */
function draftText(draft, runs) {
  const some = draft.runs < runs ? ` (${draft.runs} of ${runs} videos)` : "";
  const where = draft.model ? `, on a server with the model ${clean(draft.model)}` : "";
  return `${clean(draft.what)}${some}: ${duration(draft.seconds)} in place of ${duration(draft.in_place_of)}${where}`;
}

/**
 * @param {string} name
 * @param {string} value
 */
const fact = (name, value) => html`<dt>${name}</dt><dd class="num">${value}</dd>`;

/** @param {PlannedBatch} batch */
function batchRow(batch) {
  const own = `${batch.width}×${batch.height}`;
  const kept = batch.output_sizes.map(({ width, height }) => `${width}×${height}`).filter((shown) => shown !== own);
  const shape = `${own}, ${count(batch.frames, "frame")}${kept.length ? `, kept as ${kept.join(", ")}` : ""}`;
  return html`<li class="num">${count(batch.runs.length, "run")}, ${shape}: ${duration(batch.seconds)}</li>`;
}
