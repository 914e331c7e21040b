// The filters of the list of runs, as fields; the address keeps their values.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { clean } from "../lib/format.js";
import { openStates, server } from "../lib/server.js";
import { inputOf } from "../lib/view.js";

/** @import { RunLabelCounts } from "../lib/schema.js" */
/** @import { Query } from "../lib/api.js" */

/** @typedef {Record<string, string>} Filters */

export const FILTERS = ["q", "state", "sweep", "tag", "control", "rating", "score", "since", "until"];
export const ARRANGEMENTS = ["view", "sort", "group", "columns", "scores"];

const RATINGS = [["", "any rating"], ...[5, 4, 3, 2, 1].map((n) => [String(n), "★".repeat(n)]), ["0", "not rated"]];
const ONE = "\\s*[a-z][a-z0-9_]*\\s*(>=|<=|>|<)\\s*-?[0-9]*[.]?[0-9]+\\s*";
const CONDITIONS = `(${ONE}(,${ONE})*)?`;

/**
 * The query parameters of filters.
 * @param {Filters} filters
 * @returns {Query}
 */
export function conditionsOf(filters) {
  const { since = "", until = "", score = "" } = filters;
  const { q, state, sweep, tag, control, rating } = filters;
  return {
    q,
    state,
    sweep,
    tag,
    control,
    rating,
    score: score.split(",").filter((text) => text.trim()),
    created_after: since ? dayStart(since) : "",
    created_before: until ? dayStart(until, 1) : "",
  };
}

/**
 * The form. `change(name, value)` is called for every change; `toggle()` opens or closes it on a phone.
 * @param {Filters} filters
 * @param {RunLabelCounts} labels
 * @param {boolean} open
 * @param {{ change: (name: string, value: string) => void, toggle: () => void, apply: () => void }} act
 */
export function filterForm(filters, labels, open, { change, toggle, apply }) {
  const changed = (/** @type {Event} */ event) => {
    const input = inputOf(event);
    if (input.validity.valid) change(input.name, input.value); // else a condition that is being typed
  };
  const field = (/** @type {string} */ label, /** @type {string} */ name, /** @type {unknown} */ control) =>
    html`<div class="field"><label for="filter-${name}">${label}</label>${control}</div>`;
  const select = (/** @type {string} */ name, /** @type {string[][]} */ options) =>
    choice(name, options, filters[name] ?? "", changed);
  const input = (/** @type {string} */ name, /** @type {string} */ type, placeholder = "", pattern = ".*") => html`<input
    id="filter-${name}"
    name=${name}
    type=${type}
    placeholder=${placeholder}
    pattern=${pattern}
    .value=${live(filters[name] ?? "")}
    @input=${changed}
  />`;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    apply();
  };
  const sweeps = Object.entries(labels.sweeps).map(([name, runs]) => [name, `${clean(name)} (${runs})`]);
  const tags = tagOptions(labels);
  return html`<form class="filters ${open ? "open" : ""}" role="search" @submit=${submit}>
    ${field("Text", "q", input("q", "search", "words of the prompt"))}
    ${field("State", "state", select("state", stateOptions(filters.state ?? "")))}
    ${sweeps.length ? field("Sweep", "sweep", select("sweep", [["", "any sweep"], ...sweeps])) : nothing}
    ${tags.length ? field("Tag", "tag", select("tag", [["", "any tag"], ...tags])) : nothing}
    ${field("Control", "control", select("control", [["", "any control"], ...server().controls.map((name) => [name, name])]))}
    ${field("Rating", "rating", select("rating", RATINGS))}
    ${field("Score", "score", input("score", "text", "edge_f1>0.5", CONDITIONS))}
    ${field("From", "since", input("since", "date"))} ${field("To", "until", input("until", "date"))}
    <button type="button" aria-expanded=${open} @click=${toggle}>Filters</button>
  </form>`;
}

/**
 * A select; of a value that is none of the options, it has one more.
 * @param {string} name
 * @param {string[][]} options
 * @param {string} chosen
 * @param {(event: Event) => void} changed
 */
export function choice(name, options, chosen, changed) {
  const known = options.some(([value]) => value === chosen);
  const all = known ? options : [...options, [chosen, clean(chosen).replaceAll(",", ", ")]];
  return html`<select id="filter-${name}" name=${name} .value=${live(chosen)} @change=${changed}>
    ${all.map(([value, label]) => html`<option value=${value} ?selected=${value === chosen}>${label}</option>`)}
  </select>`;
}

/** @param {RunLabelCounts} labels */
const tagOptions = ({ tags }) =>
  Object.entries(tags).flatMap(([name, values]) =>
    Object.entries(values).map(([value, runs]) => [`${name}:${value}`, `${clean(name)}: ${clean(value)} (${runs})`]),
  );

/**
 * The groupings that a list offers.
 * @param {RunLabelCounts} labels
 */
export const groupOptions = ({ tags }) => [
  ["sweep", "sweep"],
  ["video", "video"],
  ["prompt", "prompt"],
  ["seed", "seed"],
  ...Object.keys(tags).map((name) => [`tag:${name}`, `tag ${clean(name)}`]),
];

/** The orders of a list: by time, and by each score from either end. */
export function sortOptions() {
  const named = server().scores.flatMap(({ name, more_is_better: more }) => [
    [`${name}:${more ? "desc" : "asc"}`, `best ${name} first`],
    [`${name}:${more ? "asc" : "desc"}`, `worst ${name} first`],
  ]);
  return [["", "newest first"], ["created:asc", "oldest first"], ...named];
}

/** @param {string} chosen */
function stateOptions(chosen) {
  const options = [
    ["", "any state"],
    ["succeeded", "finished"],
    ["failed,blocked", "failed or blocked"],
    [openStates(), "waiting or running"],
    ["cancelled", "cancelled"],
  ];
  return options.some(([value]) => value === chosen) ? options : [...options, [chosen, chosen.replaceAll(",", ", ")]];
}

/**
 * The Unix time at which a day begins in this time zone, or the day `later` days after it.
 * @param {string} text "2026-01-31"
 * @param {number} [later]
 */
function dayStart(text, later = 0) {
  const [year = 0, month = 1, date = 1] = text.split("-").map(Number);
  return new Date(year, month - 1, date + later).getTime() / 1000;
}
