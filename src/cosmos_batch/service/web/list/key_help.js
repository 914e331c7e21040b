// The keys of the page, as "?" lists them.

import { html, render } from "../vendor/lit-html/lit-html.js";
import { openDialog } from "../parts/dialogs.js";

/** The keys of a list of runs. */
export const LIST_KEYS = [
  ["arrows", "move"],
  ["j, k", "next, previous"],
  ["space", "quick look, playing; again to close it"],
  ["enter", "open the run"],
  ["1 to 5, 0", "rate, remove the rating"],
  ["x", "select; with Shift all from the one before"],
  ["Shift + arrows", "select while moving"],
  ["Ctrl + A", "select all"],
  ["Escape", "clear the selection"],
  ["/", "search"],
];

/** The keys of a run's page. */
export const RUN_KEYS = [
  ["space", "play, pause"],
  [", and .", "one frame back, forward"],
  ["j, k", "next run, previous run"],
  ["1 to 5, 0", "rate, remove the rating"],
  ["x", "select in the list"],
  ["w", "wipe against the input"],
  ["f", "full screen"],
  ["Escape", "back to the list"],
];

/**
 * List keys in a dialog.
 * @param {string[][]} keys
 */
export async function showKeys(keys) {
  if (document.querySelector("dialog.keys")) return;
  const draw = (/** @type {HTMLDialogElement} */ dialog) =>
    void render(
      html`<h2>Keys</h2>
        <dl class="facts">${keys.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
        <div class="row end"><button type="button" @click=${() => dialog.close()}>Close</button></div>`,
      dialog,
    );
  await openDialog({ label: "Keys", className: "small keys", draw });
}

/**
 * Whether a key press belongs to the page: not to a field, a dialog, or a combination of the browser.
 * @param {KeyboardEvent} event
 */
export function isForPage(event) {
  const target = event.target instanceof Element ? event.target : document.body;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (target.closest("textarea, select, [contenteditable]") || document.querySelector("dialog[open]:not(.look)")) return false;
  const field = target.closest("input");
  if (field?.type === "radio" && event.key.startsWith("Arrow")) return false;
  if (field && !["checkbox", "radio"].includes(field.type)) return field.type === "range" && /^[a-z0-5?]$/.test(event.key);
  const pressed = [" ", "Enter"].includes(event.key);
  return !(pressed && target.closest("button, a, summary, input"));
}
