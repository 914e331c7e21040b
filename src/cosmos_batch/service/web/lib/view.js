// The contract of a view, and what every view renders with.

import { render } from "../vendor/lit-html/lit-html.js";

/**
 * Parameters of a view, from the address "#/name/id?query".
 * @typedef {object} ViewParams
 * @property {string} id the part of the address after the view's name; "" where there is none
 * @property {URLSearchParams} query
 */

/**
 * A view: renders into `root`, which is empty and belongs to the view alone, and keeps it up to date.
 *
 * It resolves once its first data shows, and rejects with an ApiError where that cannot be loaded. From the moment
 * that `signal` aborts, another view shows: requests, event listeners, timers and players end with the signal, and
 * the view does not render again.
 * @callback View
 * @param {HTMLElement} root
 * @param {ViewParams} params
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */

/**
 * Render a template into `root`. Text values become text nodes. An element with a data-key that had the focus has
 * it afterwards, also where it moved to another place.
 * @param {HTMLElement} root
 * @param {unknown} template
 */
export function paint(root, template) {
  const focused = document.activeElement;
  const key = focused instanceof HTMLElement && root.contains(focused) ? focused.dataset.key : undefined;
  render(template, root);
  if (!key || document.activeElement === focused) return;
  const elements = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-key]"));
  [...elements].find((element) => element.dataset.key === key)?.focus();
}

/**
 * A version of `act` that runs at most once in `gap` ms, and once more for calls that came in between. Its errors
 * are dropped: a lost server shows in the header, and "resync" follows.
 * @param {() => unknown} act
 * @param {() => number} [gap]
 * @returns {() => void}
 */
export function throttled(act, gap = () => 800) {
  let last = 0;
  let timer = 0;
  const run = async () => {
    timer = 0;
    last = Date.now();
    try {
      await act();
    } catch {
      // see above
    }
  };
  return () => {
    if (!timer) timer = setTimeout(run, Math.max(0, last + gap() - Date.now()));
  };
}

/**
 * The input, select or textarea that an event came from.
 * @param {Event} event
 */
export const inputOf = (event) => /** @type {HTMLInputElement} */ (event.currentTarget);

/**
 * The message of an error.
 * @param {unknown} error
 */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));
