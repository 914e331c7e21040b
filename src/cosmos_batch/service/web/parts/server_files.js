// A dialog that chooses among the server's videos: its folders, and earlier uploads.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api } from "../lib/api.js";
import { clean, size } from "../lib/format.js";
import { inputOf, paint } from "../lib/view.js";
import { guarded, openDialog } from "./dialogs.js";
import { itemOfFile } from "./items.js";

/** @import { FileList, FolderEntry, FolderListing } from "../lib/schema.js" */
/** @import { Item } from "./items.js" */

/**
 * Let the user choose among the server's videos; none where the dialog is closed. Throws ApiError.
 * @param {boolean} many several may be chosen
 * @returns {Promise<Item[]>}
 */
export async function chooseServerFiles(many) {
  const files = new ServerFiles(many);
  await files.open(null);
  const draw = (/** @type {HTMLDialogElement} */ dialog) => files.drawIn(dialog);
  const answer = await openDialog({ label: "Videos on the server", className: "picker", draw });
  return answer === "yes" ? [...files.marked.values()] : [];
}

class ServerFiles {
  /** @param {boolean} many */
  constructor(many) {
    this.many = many;
    /** @type {HTMLDialogElement | null} */
    this.dialog = null;
    /** @type {Map<string, Item>} */
    this.marked = new Map();
    /** @type {{ folder: FolderListing, uploads: FileList | null } | null} */
    this.shown = null;
  }

  /**
   * Show a folder; null: the configured folders, and the uploads. Throws ApiError.
   * @param {string | null} path
   */
  async open(path) {
    const [folder, uploads] = await Promise.all([
      api.roots(path),
      path ? null : api.files({ purpose: "user_data", limit: 50, order: "desc" }),
    ]);
    this.shown = { folder, uploads };
    this.draw();
  }

  /**
   * @param {Item} item
   * @param {boolean} on
   */
  mark(item, on) {
    if (!this.many) this.marked.clear();
    if (on) this.marked.set(item.ref, item);
    else this.marked.delete(item.ref);
    this.draw();
  }

  /** @param {HTMLDialogElement} dialog */
  drawIn(dialog) {
    this.dialog = dialog;
    this.draw();
  }

  draw() {
    const { dialog, shown, marked } = this;
    if (!dialog || !shown) return;
    paint(
      dialog,
      html`<div class="row spread">
          <h2>Videos on the server</h2>
          <button type="button" class="plain" aria-label="Close" @click=${() => dialog.close()}>×</button>
        </div>
        <div class="stack">${this.path(shown.folder)}${this.entries(shown.folder)}${this.uploads(shown.uploads)}</div>
        <div class="row end">
          <button type="button" class="primary" ?disabled=${!marked.size} @click=${() => dialog.close("yes")}>
            ${marked.size > 1 ? `Use these ${marked.size}` : "Use"}
          </button>
        </div>`,
    );
  }

  /** @param {FolderListing} folder */
  path({ path, parent }) {
    if (!path) return nothing;
    return html`<p class="row tight">
      <button type="button" class="small" @click=${guarded(() => this.open(parent))}>↑ Up</button>
      <code class="words">${clean(path)}</code>
    </p>`;
  }

  /** @param {FolderListing} folder */
  entries({ path, data }) {
    if (!data.length)
      return html`<p class="soft">
        ${path ? "No video in this folder." : "The server was started without folders to pick from (--root)."}
      </p>`;
    const row = (/** @type {FolderEntry} */ entry) =>
      entry.folder
        ? html`<li>
            <button type="button" class="plain folder" @click=${guarded(() => this.open(entry.path))}>
              ${clean(entry.name || entry.path)}/
            </button>
          </li>`
        : this.row({ ref: entry.path, name: clean(entry.name), note: size(entry.bytes) });
    return html`<ul class="list pick">${repeat(data, (entry) => entry.path, row)}</ul>`;
  }

  /** @param {FileList | null} uploads */
  uploads(uploads) {
    if (!uploads?.data.length) return nothing;
    return html`<h3>Uploaded before</h3>
      <ul class="list pick">
        ${repeat(
          uploads.data,
          (file) => file.id,
          (file) => this.row(itemOfFile(file)),
        )}
      </ul>`;
  }

  /** @param {Item} item */
  row(item) {
    return html`<li>
      <label class="check grow">
        <input
          type=${this.many ? "checkbox" : "radio"}
          name="pick"
          .checked=${this.marked.has(item.ref)}
          @change=${(/** @type {Event} */ event) => this.mark(item, inputOf(event).checked)}
        />
        <span class="one-line words grow">${item.name}</span><small class="soft">${item.note}</small>
      </label>
    </li>`;
  }
}
