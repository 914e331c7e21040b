// What the server expects of its queue: the next runs, the window in force, and what prediction has saved.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { clean } from "../lib/format.js";

/** @import { Queue } from "../lib/schema.js" */

const SHOWN = 5; // kinds

/** @param {Queue["expected"]} expected */
export function expectedRuns({ on, at, kinds, window, saving }) {
  if (!on) return html`<p class="soft">Prediction is off: the settings hold. ${sentence(window.text)}</p>`;
  if (at === null) return nothing;
  const row = (/** @type {Queue["expected"]["kinds"][number]} */ kind) => html`<li>${clean(kind.text)}</li>`;
  return html`<h2>Expected</h2>
    <div class="card expected">
      ${kinds.length ? html`<ul class="list">${kinds.slice(0, SHOWN).map(row)}</ul>` : nothing}
      <p class="soft">${sentence(window.text)}</p>
      ${saving.text ? html`<p class="soft">${sentence(saving.text)}</p>` : nothing}
    </div>`;
}

/** @param {string} text */
const sentence = (text) => `${clean(text.charAt(0).toUpperCase() + text.slice(1))}.`;
