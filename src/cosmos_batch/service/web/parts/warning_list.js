// Warnings about runs: what is taken as it is, and is probably not meant. They prevent nothing.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { clean, count } from "../lib/format.js";

/** @import { FieldProblem } from "../lib/schema.js" */

const SHOWN = 20;

/**
 * A list of warnings; nothing without any.
 * @param {FieldProblem[]} warnings
 * @param {boolean} [numbered] whether each says its run
 */
export function warningList(warnings, numbered = false) {
  if (!warnings.length) return nothing;
  const row = (/** @type {FieldProblem} */ { line, field, message, remedy }) =>
    html`<li>
      ${numbered ? `Run ${line}: ` : nothing}<b>${clean(field)}</b> ${clean(message)}.
      <span class="soft">${clean(remedy)}</span>
    </li>`;
  return html`<div class="warnings" role="note">
    <p><b>${count(warnings.length, "warning")}</b></p>
    <ul>${warnings.slice(0, SHOWN).map(row)}</ul>
    ${warnings.length > SHOWN ? html`<p>and ${warnings.length - SHOWN} more</p>` : nothing}
  </div>`;
}
