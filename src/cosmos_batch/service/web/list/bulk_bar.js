// The bar over a list with what can be done to the selected runs.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { selection } from "../lib/selection.js";
import { hasEnded, isRetryable } from "../lib/server.js";
import { guarded } from "../parts/dialogs.js";
import { act, download, removeRuns } from "./bulk_actions.js";

/** @import { RunSource } from "./run_source.js" */

const FORMATS = [
  ["csv", "Table (CSV)"],
  ["jsonl", "Manifest (JSON lines)"],
  ["zip", "Videos and tables (ZIP)"],
];

/**
 * @param {RunSource} source
 * @param {() => Promise<void>} refresh
 */
export function bulkBar(source, refresh) {
  const chosen = selection.listed;
  if (!chosen.length) return nothing;
  const stateOf = (/** @type {string} */ id) => source.state(selection.place(id));
  const open = chosen.filter((id) => !hasEnded(stateOf(id)));
  const ended = chosen.filter((id) => hasEnded(stateOf(id)));
  const retryable = chosen.filter((id) => isRetryable(stateOf(id)));
  const made = chosen.filter((id) => stateOf(id) === "succeeded");
  const button = (/** @type {string[]} */ ids, /** @type {string} */ label, /** @type {() => unknown} */ work) =>
    ids.length
      ? html`<button type="button" class="small" data-key="bulk-${label}" @click=${guarded(work)}>
          ${label} ${ids.length.toLocaleString("en")}
        </button>`
      : nothing;
  const todo = (/** @type {string[]} */ ids, /** @type {"cancel" | "retry"} */ action) => async () => {
    await act(ids, { action });
    await refresh();
  };
  const remove = async () => {
    selection.set(await removeRuns(ended), false);
    await refresh();
  };
  return html`<b class="num">${chosen.length.toLocaleString("en")} selected</b>
    ${comparison(made)} ${rateMenu(chosen, source)}
    ${button(retryable, "Retry", todo(retryable, "retry"))} ${button(open, "Cancel", todo(open, "cancel"))}
    ${button(ended, "Delete", remove)} ${exportMenu(chosen)}
    <button type="button" class="plain small" data-key="bulk-clear" @click=${() => selection.clear()}>Clear</button>`;
}

/** @param {string[]} made */
function comparison(made) {
  const [first = "", second = ""] = made;
  if (made.length === 1) return html`<span class="soft small-print">Select a second one to compare.</span>`;
  if (made.length !== 2) return nothing;
  const address = `#/compare?a=${encodeURIComponent(first)}&b=${encodeURIComponent(second)}`;
  return html`<a class="button primary small" href=${address}>Compare</a>`;
}

/**
 * A menu that acts at once on what is chosen, and shows its own name again.
 * @param {string} label
 * @param {string[][]} options
 * @param {(value: string) => unknown} choose
 */
function menu(label, options, choose) {
  const chosen = (/** @type {Event} */ event) => {
    const select = /** @type {HTMLSelectElement} */ (event.currentTarget);
    const { value } = select;
    select.selectedIndex = 0;
    if (value) return guarded(() => choose(value))(event);
  };
  return html`<select class="menu" aria-label=${label} data-key="bulk-${label}" @change=${chosen}>
    <option value="">${label}</option>
    ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
  </select>`;
}

/**
 * @param {string[]} ids
 * @param {RunSource} source
 */
function rateMenu(ids, source) {
  const stars = [5, 4, 3, 2, 1].map((n) => [String(n), "★".repeat(n)]);
  return menu("Rate", [...stars, ["0", "no rating"]], (value) => rate(ids, Number(value) || null, source));
}

/**
 * Rate runs: the stars show at once, and go where the server refuses. Throws ApiError.
 * @param {string[]} ids
 * @param {number | null} rating
 * @param {RunSource} source
 */
async function rate(ids, rating, source) {
  const takeBack = source.rate(ids, rating);
  try {
    await act(ids, { action: "rate", rating });
  } catch (error) {
    takeBack();
    throw error;
  }
}

/** @param {string[]} ids */
const exportMenu = (ids) => menu("Export", FORMATS, (format) => download(ids, format));
