// A run in a list: as a card of the grid, and as a row of the table. Both have a fixed height.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { contentUrl } from "../lib/api.js";
import { clean, duration, isNumber, when } from "../lib/format.js";
import { selection } from "../lib/selection.js";
import { hasEnded, server } from "../lib/server.js";
import { actions, badge, bar, causeOf, chips, isFailure, priorityChip, ratingShown, stepText } from "../parts/run_parts.js";

/** @import { Video } from "../lib/schema.js" */

/**
 * What is known of a run: its id and state at once, its details once they have come.
 * @typedef {{ id: string, state: string, rating: number | null, video: Video | undefined }} ListedRun
 */

/**
 * The name of a run for people: the file of its input, and its seed.
 * @param {Video} video
 */
export const nameOf = (video) => [fileOf(video), seedOf(video)].filter(Boolean).join(" · ");

/** @param {Video} video */
const fileOf = (video) => clean(video.names.video ?? video.id);

/** @param {Video} video */
const seedOf = ({ execution_config: { seed } }) => (isNumber(seed) ? `seed ${seed}` : "");

/** @param {string} id */
const marks = (id) => `${selection.has(id) ? "chosen" : ""} ${selection.active === id ? "active" : ""}`;

/** @param {ListedRun} run */
function box({ id, video }) {
  const what = video ? `${nameOf(video)}, ${clean(video.prompt).slice(0, 60)}` : id;
  return html`<input
    type="checkbox"
    tabindex="-1"
    data-box
    aria-label="Select: ${what}"
    .checked=${live(selection.has(id))}
  />`;
}

/** @param {Video} video */
const link = (video) => html`<a
  class="words name"
  tabindex="-1"
  href="#/run/${encodeURIComponent(video.id)}"
  title=${nameOf(video)}
><span class="one-line">${fileOf(video)}</span> <span class="soft">${seedOf(video)}</span></a>`;

/**
 * A card of the grid.
 * @param {ListedRun} run
 * @param {string} size its width and height, as a style
 * @param {() => void} refresh
 */
export function runCard(run, size, refresh) {
  const { id, state, video } = run;
  return html`<div
    class="card run ${marks(id)}"
    role="gridcell"
    id="run-${id}"
    data-run=${id}
    aria-selected=${selection.has(id)}
    .style=${size}
  >
    <div class="film" data-look>${video ? picture(video) : nothing}${state === "succeeded" ? flagged(video) : badge(state)}</div>
    ${box(run)}
    <div class="body">
      ${video
        ? html`${link(video)}
            <p class="two-lines words prompt-text">${clean(video.prompt)}</p>
            <div class="row tight nowrap end-line">${standing(video, refresh)}</div>`
        : html`<p class="soft one-line">${id}</p>`}
    </div>
  </div>`;
}

/**
 * What the scores say is broken.
 * @param {Video | undefined} video
 */
const flagged = (video) =>
  video?.flags.length ? html`<span class="badge failed">${video.flags.join(", ")}</span>` : nothing;

/**
 * The last line of a card: rating and score of a finished run, else why it is not finished, and what would do.
 * @param {Video} video
 * @param {() => void} refresh
 */
function standing(video, refresh) {
  const buttons = actions(video, refresh, { small: true, urgent: false, reach: false });
  if (video.state === "succeeded")
    return html`${ratingShown(video.rating)}<span class="soft num one-line small-print">${scoresOf(video)}</span>`;
  if (video.state === "running" && !video.cancelling)
    return html`<span class="grow">${bar(video.step, video.steps, "steps")}</span>
      <span class="soft num small-print">${stepText(video)}</span>${buttons}`;
  const text = isFailure(video.state) ? causeOf(video) : video.cancelling ? "is being cancelled" : clean(video.reason);
  const kind = isFailure(video.state) ? "cause" : "soft";
  return html`<span class="grow one-line small-print ${kind}" title=${text}>${text}</span>${buttons}`;
}

/** @param {Video} video */
function scoresOf(video) {
  const shown = server().scores.filter(({ name, more_is_better: more }) => more && video.scores[name] !== undefined);
  return shown.map(({ name }) => `${name} ${video.scores[name]?.toFixed(2)}`).join(" · ");
}

/**
 * The first frame of the output; before there is one, of the input.
 * @param {Video} video
 */
export function picture(video) {
  if (!video.variants.includes("thumbnail")) return html`<span class="nofilm" aria-hidden="true">▤</span>`;
  const hide = (/** @type {Event} */ event) => {
    /** @type {HTMLElement} */ (event.currentTarget).hidden = true;
  };
  return html`<img src=${contentUrl(video.id, "thumbnail")} alt="" loading="lazy" draggable="false" @error=${hide} />`;
}

/** The scores that the table has a column for. */
const columnsOfScores = () => server().scores.filter(({ more_is_better: more }) => more);

/**
 * The head of the table; `sort(name)` is called for a column that can sort.
 * @param {string} sorted "edge_f1:desc"
 * @param {(by: string) => void} sort
 */
export function tableHead(sorted, sort) {
  const [by, order] = (sorted || "created:desc").split(":");
  const head = (/** @type {string} */ name, /** @type {string} */ label, kind = "") => html`<div
    role="columnheader"
    class="number ${kind}"
    aria-sort=${by === name ? (order === "asc" ? "ascending" : "descending") : "none"}
  ><button
      type="button"
      class="plain tiny"
      data-key="sort-${name}"
      @click=${() => sort(`${name}:${by === name && order === "desc" ? "asc" : "desc"}`)}
    >${label}${by === name ? (order === "asc" ? " ↑" : " ↓") : ""}</button></div>`;
  return html`<div class="table-head" role="row" .style=${columnStyle()}>
    <div role="columnheader"><span class="unseen">Selected</span></div>
    <div role="columnheader"><span class="unseen">Picture</span></div>
    <div role="columnheader">Video and prompt</div>
    <div role="columnheader">State</div>
    <div role="columnheader">Rating</div>
    ${columnsOfScores().map(({ name }) => head(name, name))}
    <div role="columnheader" class="wide-only">Controls</div>
    ${head("created", "Submitted", "wide-only")}
  </div>`;
}

const columnStyle = () => `--scores: ${columnsOfScores().length}`;

/**
 * A row of the table.
 * @param {ListedRun} run
 * @param {number} number
 * @param {() => void} refresh
 */
export function tableRow(run, number, refresh) {
  const { id, state, video } = run;
  const took = video && isNumber(video.seconds_taken) && hasEnded(state) ? `took ${duration(video.seconds_taken)}` : "";
  return html`<div
    class="table-row ${marks(id)}"
    id="run-${id}"
    data-run=${id}
    role="row"
    aria-rowindex=${number}
    aria-selected=${selection.has(id)}
    .style=${columnStyle()}
  >
    <div role="gridcell">${box(run)}</div>
    <div role="gridcell" class="film" data-look>${video ? picture(video) : nothing}</div>
    <div role="gridcell" class="what">
      ${video
        ? html`${link(video)}<p class="one-line words soft small-print" title=${clean(video.prompt)}>${clean(video.prompt)}</p>`
        : html`<span class="soft">${id}</span>`}
    </div>
    <div role="gridcell" class="state-cell">${badge(state)}${flagged(video)}${whyNot(video, refresh)}</div>
    <div role="gridcell" class="rating-cell">${ratingShown(run.rating)}</div>
    ${columnsOfScores().map(
      ({ name }) => html`<div role="gridcell" class="number num score-cell">${video?.scores[name]?.toFixed(2) ?? ""}</div>`,
    )}
    <div role="gridcell" class="wide-only">${video ? html`${chips(video)}${priorityChip(video.priority)}` : nothing}</div>
    <div role="gridcell" class="number num soft small-print wide-only" title=${took}>${when(video?.created_at)}</div>
  </div>`;
}

/**
 * Why a run is not finished, and what would do.
 * @param {Video | undefined} video
 * @param {() => void} refresh
 */
function whyNot(video, refresh) {
  if (!video || video.state === "succeeded") return nothing;
  const text = isFailure(video.state) ? causeOf(video) : video.state === "running" ? stepText(video) : clean(video.reason);
  return html`<span class="one-line small-print ${isFailure(video.state) ? "cause" : "soft"}" title=${text}>${text}</span>
    ${actions(video, refresh, { small: true, urgent: false, reach: false })}`;
}
