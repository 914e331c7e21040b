// The weight of a control in the form of a new run, and the control's own video.

import { html } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { inputOf } from "../lib/view.js";
import { Chooser } from "./chooser.js";

/** @import { ControlInfo } from "../lib/schema.js" */

const FIRST_CONTROL = "edge"; // in use unless the user changes it

export class ControlField {
  /**
   * @param {ControlInfo} info
   * @param {() => void} changed
   */
  constructor({ name, about, preset }, changed) {
    this.name = name;
    this.about = about;
    this.preset = preset;
    this.changed = changed;
    this.weight = name === FIRST_CONTROL ? "1" : "0";
    this.chooser = new Chooser({ many: false, label: `control video for ${name}`, changed });
  }

  get used() {
    return Number(this.weight) > 0;
  }

  get own() {
    return this.chooser.chosen[0]?.ref;
  }

  template() {
    const set = (/** @type {Event} */ event) => {
      this.weight = inputOf(event).value;
      this.changed();
    };
    const own = this.chooser.chosen[0];
    return html`<div class="control ${this.used ? "" : "off"}">
      <label for="weight-${this.name}"><b>${this.name}</b><small class="soft">${this.about}</small></label>
      <input
        type="range"
        id="weight-${this.name}"
        min="0"
        max="1"
        step="0.05"
        .value=${live(this.weight || "0")}
        @input=${set}
      />
      <input
        type="number"
        class="num weight"
        min="0"
        step="0.05"
        aria-label="weight of ${this.name}"
        .value=${live(this.weight)}
        @input=${set}
      />
      <details class="own">
        <summary>${own ? `from ${own.name}` : "from the input video"}</summary>
        ${this.chooser.template()}
      </details>
    </div>`;
  }
}
