// Parts of a run that several views show: state, progress, controls, rating, actions.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../lib/api.js";
import { clean, isNumber, timeLeft } from "../lib/format.js";
import { hasEnded, isRetryable, isUrgent, priorityLabel, stateLabel } from "../lib/server.js";
import { messageOf } from "../lib/view.js";
import { guarded, toast } from "./dialogs.js";

/** @import { Video } from "../lib/schema.js" */

/**
 * The fields that a run has in every answer.
 * @typedef {{ id: string, prompt: string, priority: number, state: string, cancelling?: boolean }} RunSummary
 */

/** @type {Record<string, string>} */
const MARKS = { succeeded: "✓", failed: "!", blocked: "⊘", cancelled: "×", running: "▸", leased: "▸", preempted: "‖" };

/**
 * The mark of a state.
 * @param {string} state
 */
export const stateMark = (state) => MARKS[state] ?? "·";

/**
 * A run's state, as a word with a mark (never by colour alone).
 * @param {string} state
 */
export const badge = (state) =>
  html`<span class="badge ${state}"><span aria-hidden="true">${stateMark(state)}</span>${stateLabel(state)}</span>`;

/**
 * A link to a run's page.
 * @param {string} id
 * @param {string} text
 * @param {string} [className]
 */
export const runLink = (id, text, className = "") =>
  html`<a class="words ${className}" href="#/run/${encodeURIComponent(id)}" data-key="link-${id}">${clean(text)}</a>`;

/**
 * A progress bar of `step` in `steps`, with `label` as its accessible name.
 * @param {number} step
 * @param {number} steps
 * @param {string} label
 */
export function bar(step, steps, label) {
  const width = `width: ${Math.min(100, (100 * step) / (steps || 1))}%`;
  return html`<div
    class="bar"
    role="progressbar"
    aria-label=${label}
    aria-valuemin="0"
    aria-valuemax=${steps || 1}
    aria-valuenow=${step}
  ><i .style=${width}></i></div>`;
}

/**
 * The weights of a run by control.
 * @param {Video} video
 * @returns {Record<string, number>}
 */
export const weightsOf = (video) => /** @type {Record<string, number>} */ (video.execution_config.weights ?? {});

/**
 * The settings of a run without its weights: only those that are set, and plain values.
 * @param {Video} video
 */
export const settingsOf = (video) =>
  Object.entries(video.execution_config).flatMap(([name, value]) =>
    name === "weights" || value === null || typeof value === "object"
      ? []
      : [/** @type {[string, string]} */ ([name, String(value)])],
  );

/**
 * Whether a run has one frame, so that its output is a picture.
 * @param {Video | undefined} video
 */
export const isPicture = (video) => video?.execution_config.num_frames === 1;

/**
 * The name under which a browser saves the output.
 * @param {Video} video
 */
export const outputName = (video) => `${video.id}${(video.files.video ?? "").slice("output".length)}`;

/**
 * Small labels for a run's controls with their weights.
 * @param {Video} video
 */
export function chips(video) {
  const active = Object.entries(weightsOf(video)).filter(([, weight]) => weight > 0);
  const chip = (/** @type {[string, number]} */ [name, weight]) =>
    html`<span class="chip">${name}<b>${weight}</b></span>`;
  return html`<span class="chips">${active.toSorted().map(chip)}</span>`;
}

/**
 * The label of a priority; nothing for the normal one.
 * @param {number} priority
 */
export function priorityChip(priority) {
  const label = priorityLabel(priority);
  if (label === "normal") return nothing;
  return html`<span class="chip priority ${label}" title="priority ${priority}">${label}</span>`;
}

/**
 * Steps done and time left, as text.
 * @param {{ step: number, steps: number, eta_seconds?: number | null }} progress
 */
export const stepText = ({ step, steps, eta_seconds: eta }) =>
  (steps ? `step ${step} of ${steps}` : "starting") + (isNumber(eta) ? ` · ${timeLeft(eta)}` : "");

/**
 * Set the rating of a run: it shows at once, and goes where the server refuses. `repaint()` shows a changed rating.
 * @param {Video} video
 * @param {number | null} rating
 * @param {() => void} repaint
 */
export async function rateRun(video, rating, repaint) {
  const before = video.rating;
  video.rating = rating;
  repaint();
  try {
    await api.rate(video.id, rating);
  } catch (error) {
    video.rating = before;
    repaint();
    toast(messageOf(error), "bad");
  }
}

/**
 * Stars that can be set: a radio group of 1 to 5, and a button for none. `choose(rating)` sets it.
 * @param {Video} video
 * @param {(rating: number | null) => void} choose
 */
export function stars(video, choose) {
  const rating = video.rating ?? 0;
  const star = (/** @type {number} */ n) =>
    html`<label class=${n <= rating ? "lit" : ""}
      ><input
        type="radio"
        class="unseen"
        name="stars-${video.id}"
        value=${n}
        aria-label="${n} of 5"
        .checked=${live(n === rating)}
        @change=${() => choose(n)}
      /><span aria-hidden="true">★</span></label
    >`;
  return html`<fieldset class="stars">
    <legend class="unseen">Rating</legend>
    ${[1, 2, 3, 4, 5].map(star)}
    <button type="button" class="plain tiny" ?hidden=${!rating} @click=${() => choose(null)}>clear</button>
  </fieldset>`;
}

/**
 * A rating as stars, to read.
 * @param {number | null | undefined} rating
 */
export const ratingShown = (rating) =>
  rating
    ? html`<span class="stars-shown" role="img" aria-label="rated ${rating} of 5">${"★".repeat(rating)}</span>`
    : nothing;

/**
 * The buttons for the actions that a run's state allows. `done()` is called after each. `urgent`: offer a button
 * that makes the run urgent; `reach`: the Tab key stops at them.
 * @param {RunSummary} run
 * @param {() => unknown} done
 * @param {{ small?: boolean, urgent?: boolean, reach?: boolean }} [options]
 */
export function actions(run, done, { small = false, urgent = true, reach = true } = {}) {
  const open = !hasEnded(run.state) && !run.cancelling;
  const wanted = [
    { verb: "urgent", label: "Make urgent", kind: "", on: open && urgent && !isUrgent(run.priority) },
    { verb: "cancel", label: "Cancel", kind: "", on: open },
    { verb: "retry", label: "Retry", kind: "primary", on: isRetryable(run.state) },
  ].filter((action) => action.on);
  /** @type {Record<string, (id: string) => Promise<unknown>>} */
  const calls = { urgent: (id) => api.prioritise(id, "urgent"), cancel: api.cancel, retry: api.retry };
  return repeat(
    wanted,
    ({ verb }) => verb,
    ({ verb, label, kind }) =>
      html`<button
        type="button"
        class="${small ? "small" : ""} ${kind}"
        data-key="${verb}-${run.id}"
        tabindex=${reach ? 0 : -1}
        title="${label}: ${clean(run.prompt).slice(0, 60)}"
        @click=${guarded(async () => {
          await calls[verb]?.(run.id);
          await done();
        })}
      >${label}</button>`,
  );
}

/**
 * The cause of a failure.
 * @param {Video} video
 */
export const causeOf = (video) => clean(video.error?.message ?? video.reason);

/**
 * Whether a run failed or was blocked.
 * @param {string} state
 */
export const isFailure = (state) => state === "failed" || state === "blocked";
