// Parts of forms: a field with its label, and the problems of what was sent.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { clean } from "../lib/format.js";

/** @import { FieldProblem } from "../lib/schema.js" */

/**
 * A form field with its label and hint.
 * @param {string} name
 * @param {string} label
 * @param {string | undefined} hint
 * @param {unknown} control
 */
export const field = (name, label, hint, control) => html`<div class="field">
  <label for="field-${name}">${label}</label>${control}
  ${hint ? html`<small id="hint-${name}">${hint}</small>` : nothing}
</div>`;

/**
 * The problems of a request, or one message.
 * @param {FieldProblem[] | string} problems
 */
export function problemList(problems) {
  if (!problems.length) return nothing;
  if (typeof problems === "string") return html`<p>${clean(problems)}</p>`;
  const row = (/** @type {FieldProblem} */ problem) =>
    html`<li>
      <b>${clean(problem.field)}</b> ${clean(problem.message)}. <span class="soft">${clean(problem.remedy)}</span>
    </li>`;
  return html`<ul>${problems.map(row)}</ul>`;
}
