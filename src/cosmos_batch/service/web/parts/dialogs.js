// Messages at the edge of the page, and dialogs.

import { html, render } from "../vendor/lit-html/lit-html.js";
import { messageOf } from "../lib/view.js";

/**
 * Show a message at the edge of the page for some seconds.
 * @param {string} text
 * @param {"" | "bad"} [kind]
 */
export function toast(text, kind = "") {
  const note = document.createElement("p");
  note.className = `toast ${kind}`;
  note.textContent = text;
  document.getElementById("toasts")?.append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 9000 : 4500);
}

/**
 * Open a dialog whose content `draw(dialog)` renders. Resolves, when it closes, to its return value.
 * @param {{ label: string, className: string, draw: (dialog: HTMLDialogElement) => void }} options
 * @returns {Promise<string>}
 */
export function openDialog({ label, className, draw }) {
  const dialog = document.createElement("dialog");
  dialog.className = className;
  dialog.ariaLabel = label;
  draw(dialog);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/**
 * Ask for confirmation of an action that cannot be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} yes the label of the button that confirms
 * @returns {Promise<boolean>}
 */
export async function confirmed(title, text, yes) {
  const draw = (/** @type {HTMLDialogElement} */ dialog) =>
    void render(
      html`<h2>${title}</h2>
        <p>${text}</p>
        <div class="row end">
          <button type="button" @click=${() => dialog.close("")}>Keep</button>
          <button type="button" class="danger" @click=${() => dialog.close("yes")}>${yes}</button>
        </div>`,
      dialog,
    );
  return (await openDialog({ label: title, className: "small", draw })) === "yes";
}

/**
 * A click handler that disables its button until `act` has ended, and shows an error as a message.
 * @param {() => unknown} act
 */
export const guarded = (act) => async (/** @type {Event} */ event) => {
  const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
  button.disabled = true;
  try {
    await act();
  } catch (error) {
    toast(messageOf(error), "bad");
  } finally {
    button.disabled = false;
  }
};
