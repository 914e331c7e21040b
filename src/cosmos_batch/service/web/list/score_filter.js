// The distribution of a score, with a part of it chosen: by drawing over the bars, or by the two sliders under them.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { count } from "../lib/format.js";
import { inputOf } from "../lib/view.js";

/** @import { Histogram } from "../lib/schema.js" */

const STEPS = 100; // of a slider

/**
 * The limits that conditions set on a score; null where there is none.
 * @param {string} text "edge_f1>=0.3,edge_f1<=0.5"
 * @param {string} name
 * @returns {[number | null, number | null]}
 */
export function limitsOf(text, name) {
  /** @type {[number | null, number | null]} */
  const limits = [null, null];
  for (const condition of text.split(",")) {
    const found = /^\s*([a-z0-9_]+)\s*([<>])=?\s*(\S+)\s*$/.exec(condition);
    if (found?.[1] === name) limits[found[2] === ">" ? 0 : 1] = Number(found[3]);
  }
  return limits;
}

/**
 * The conditions of a text but for those on one score.
 * @param {string} text
 * @param {string} name
 */
export const withoutScore = (text, name) =>
  text.split(",").filter((condition) => condition.trim() && !new RegExp(`^\\s*${name}\\s*[<>]`).test(condition));

/**
 * The conditions with those on one score replaced.
 * @param {string} text
 * @param {string} name
 * @param {[number | null, number | null]} limits
 */
export function withLimits(text, name, [least, most]) {
  const own = [least === null ? "" : `${name}>=${short(least)}`, most === null ? "" : `${name}<=${short(most)}`];
  return [...withoutScore(text, name), ...own].filter(Boolean).join(",");
}

/** @param {number} value */
const short = (value) => String(Number(value.toFixed(4)));

/**
 * The bars with their sliders. `change(limits)` is called when another part is chosen.
 * @param {Histogram} histogram
 * @param {[number | null, number | null]} limits
 * @param {(limits: [number | null, number | null]) => void} change
 */
export function scoreFilter(histogram, [least, most], change) {
  const { score, runs, start, end, counts } = histogram;
  if (!runs) return html`<p class="soft small-print">No run here has the score ${score}.</p>`;
  const width = end - start || 1;
  const at = (/** @type {number} */ share) => start + share * width;
  const shareOf = (/** @type {number} */ value) => Math.min(1, Math.max(0, (value - start) / width));
  const [from, to] = [least === null ? 0 : shareOf(least), most === null ? 1 : shareOf(most)];
  const choose = (/** @type {number} */ a, /** @type {number} */ b) => {
    const [low, high] = [Math.min(a, b), Math.max(a, b)];
    change([low <= 0 ? null : at(low), high >= 1 ? null : at(high)]);
  };
  const slider = (/** @type {string} */ label, /** @type {number} */ share, /** @type {(share: number) => void} */ set) =>
    html`<input
      type="range"
      min="0"
      max=${STEPS}
      aria-label="${label} ${score}"
      aria-valuetext=${at(share).toFixed(3)}
      .value=${live(String(Math.round(share * STEPS)))}
      @change=${(/** @type {Event} */ event) => set(Number(inputOf(event).value) / STEPS)}
    />`;
  const tallest = Math.max(...counts);
  const bar = (/** @type {number} */ n, /** @type {number} */ bin) => {
    const [a, b] = [bin / counts.length, (bin + 1) / counts.length];
    const inside = b > from + 1e-9 && a < to - 1e-9;
    return html`<i
      class=${inside ? "inside" : ""}
      .style=${`height: ${n ? Math.max(3, (100 * n) / tallest) : 0}%`}
      title="${at(a).toFixed(2)} to ${at(b).toFixed(2)}: ${count(n, "run")}"
    ></i>`;
  };
  return html`<div class="score-filter" role="group" aria-label="Distribution of ${score}">
    <div class="score-bars" aria-hidden="true" @pointerdown=${(/** @type {PointerEvent} */ event) => draw(event, choose)}>
      ${counts.map(bar)}
    </div>
    <div class="row spread nowrap small-print soft num"><span>${start.toFixed(2)}</span><span>${end.toFixed(2)}</span></div>
    <div class="score-limits">
      ${slider("Least", from, (share) => choose(share, to))} ${slider("Greatest", to, (share) => choose(from, share))}
    </div>
    <p class="row spread small-print soft num">
      <span>${count(runs, "run")} with ${score}${least === null && most === null ? "" : `; shown: ${at(from).toFixed(2)} to ${at(to).toFixed(2)}`}</span>
      ${least === null && most === null
        ? nothing
        : html`<button type="button" class="plain tiny" @click=${() => change([null, null])}>all values</button>`}
    </p>
  </div>`;
}

/**
 * Choose the part that the pointer draws over; a click chooses nothing.
 * @param {PointerEvent} event
 * @param {(a: number, b: number) => void} choose
 */
function draw(event, choose) {
  const bars = /** @type {HTMLElement} */ (event.currentTarget);
  const { left, width } = bars.getBoundingClientRect();
  const share = (/** @type {PointerEvent} */ at) => Math.min(1, Math.max(0, (at.clientX - left) / width));
  const begin = share(event);
  const veil = document.createElement("span");
  veil.className = "brush";
  bars.append(veil);
  bars.setPointerCapture(event.pointerId);
  const move = (/** @type {PointerEvent} */ now) => {
    const [a, b] = [Math.min(begin, share(now)), Math.max(begin, share(now))];
    Object.assign(veil.style, { left: `${100 * a}%`, width: `${100 * (b - a)}%` });
  };
  const ended = new AbortController();
  const stop = (/** @type {PointerEvent} */ now) => {
    ended.abort();
    veil.remove();
    if (now.type === "pointerup" && Math.abs(share(now) - begin) > 0.01) choose(begin, share(now));
  };
  bars.addEventListener("pointermove", move, { signal: ended.signal });
  for (const kind of /** @type {const} */ (["pointerup", "pointercancel"])) bars.addEventListener(kind, stop, { signal: ended.signal });
}
