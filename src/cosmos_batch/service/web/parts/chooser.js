// A chooser of input videos: uploaded from this device, or chosen among the server's files.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { token, upload } from "../lib/api.js";
import { clean, size } from "../lib/format.js";
import { inputOf, messageOf } from "../lib/view.js";
import { guarded, toast } from "./dialogs.js";
import { itemOfFile } from "./items.js";
import { chooseServerFiles } from "./server_files.js";

/** @import { Item } from "./items.js" */
/** The kinds of files that a video may be. */
export const KINDS = "video/*,image/*";

export class Chooser {
  /**
   * @param {{ many: boolean, label: string, kinds?: string, changed: () => void }} options `many`: several may be
   *   chosen; `kinds`: of files, as an input takes them; `changed()` is called when there is something else to show
   */
  constructor({ many, label, kinds = KINDS, changed }) {
    this.many = many;
    this.label = label;
    this.kinds = kinds;
    this.changed = changed;
    /** @type {Item[]} */
    this.chosen = [];
    /** @type {{ key: string, file: File, sent: number }[]} */
    this.uploads = [];
    this.over = false; // a file is dragged over it
  }

  /** Whether an upload is running. */
  get busy() {
    return this.uploads.length > 0;
  }

  /** @param {Item} item */
  add(item) {
    this.chosen = this.many ? [...this.chosen.filter((other) => other.ref !== item.ref), item] : [item];
    this.changed();
  }

  /** @param {Item} item */
  remove(item) {
    this.chosen = this.chosen.filter((other) => other !== item);
    this.changed();
  }

  /** @param {File[]} files */
  take(files) {
    for (const file of this.many ? files : files.slice(0, 1)) this.upload(file);
  }

  /** @param {File} file */
  async upload(file) {
    const row = { key: token(), file, sent: 0 };
    this.uploads = [...this.uploads, row];
    this.changed();
    const progress = (/** @type {number} */ fraction) => {
      row.sent = fraction;
      this.changed();
    };
    try {
      this.add(itemOfFile(await upload(file, progress)));
    } catch (error) {
      toast(`${clean(file.name)}: ${messageOf(error)}`, "bad");
    } finally {
      this.uploads = this.uploads.filter((other) => other !== row);
      this.changed();
    }
  }

  template() {
    const taken = (/** @type {Event} */ event) => {
      const input = inputOf(event);
      this.take([...(input.files ?? [])]);
      input.value = "";
    };
    const browse = (/** @type {Event} */ event) => {
      const button = /** @type {HTMLElement} */ (event.currentTarget);
      /** @type {HTMLInputElement | null | undefined} */ (
        button.closest(".chooser")?.querySelector("input[type=file]")
      )?.click();
    };
    const pick = guarded(async () => {
      for (const item of await chooseServerFiles(this.many)) this.add(item);
    });
    return html`<div
      class="chooser ${this.many ? "wide" : ""} ${this.over ? "over" : ""}"
      @dragenter=${(/** @type {DragEvent} */ event) => this.drag(event, true)}
      @dragover=${(/** @type {DragEvent} */ event) => this.drag(event, true)}
      @dragleave=${(/** @type {DragEvent} */ event) => this.drag(event, false)}
      @drop=${(/** @type {DragEvent} */ event) => this.drop(event)}
    >
      <div class="row tight">
        <button type="button" @click=${browse}>${this.many ? "Upload videos" : "Upload"}</button>
        <button type="button" @click=${pick}>${this.many ? "Pick on the server" : "Pick"}</button>
        ${this.many ? html`<span class="soft droptext">or drop them here</span>` : nothing}
      </div>
      <input
        type="file"
        class="unseen"
        tabindex="-1"
        accept=${this.kinds}
        aria-label="Upload: ${this.label}"
        ?multiple=${this.many}
        @change=${taken}
      />
      ${this.chosen.length || this.uploads.length ? html`<ul class="files">${this.rows()}</ul>` : nothing}
    </div>`;
  }

  rows() {
    return [
      repeat(
        this.chosen,
        (item) => item.ref,
        (item) => itemRow(item, () => this.remove(item)),
      ),
      repeat(
        this.uploads,
        (row) => row.key,
        ({ file, sent }) => html`<li>
          <div class="grow">
            <span class="one-line words">${clean(file.name)}</span>
            <progress max="1" .value=${sent} aria-label="upload of ${clean(file.name)}"></progress>
          </div>
          <small class="soft">${size(file.size)}</small>
        </li>`,
      ),
    ];
  }

  /**
   * @param {DragEvent} event
   * @param {boolean} over
   */
  drag(event, over) {
    event.preventDefault();
    if (over === this.over) return;
    this.over = over;
    this.changed();
  }

  /** @param {DragEvent} event */
  drop(event) {
    event.preventDefault();
    this.over = false;
    this.take([...(event.dataTransfer?.files ?? [])]);
  }
}

/** @param {Item} item */
function preview({ src, picture }) {
  if (!src) return html`<span class="nofilm" aria-hidden="true">▤</span>`;
  if (picture) return html`<img src=${src} alt="" />`;
  return html`<video src=${src} .muted=${true} playsinline preload="metadata" aria-hidden="true"></video>`;
}

/**
 * @param {Item} item
 * @param {() => void} remove
 */
const itemRow = (item, remove) => html`<li>
  ${preview(item)}
  <div class="grow">
    <span class="one-line words">${item.name}</span><small class="soft">${item.note}</small>
  </div>
  <button type="button" class="plain" title="Remove ${item.name}" aria-label="Remove ${item.name}" @click=${remove}>
    ×
  </button>
</li>`;
