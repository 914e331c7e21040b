// All runs: search, comparison, and actions on many. The address keeps the filters.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { api, contentUrl } from "../lib/api.js";
import { clean, count, duration, isNumber, when } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { rememberOrder } from "../lib/neighbours.js";
import { hasEnded, isRetryable, openStates, server } from "../lib/server.js";
import { inputOf, messageOf, paint, throttled } from "../lib/view.js";
import { guarded, toast } from "../parts/dialogs.js";
import {
  actions,
  badge,
  bar,
  causeOf,
  chips,
  isFailure,
  priorityChip,
  ratingShown,
  removeRuns,
  runLink,
  scoresShown,
  stepText,
} from "../parts/run_parts.js";

/** @import { Video } from "../lib/schema.js" */
/** @import { ProgressEvent } from "../lib/live.js" */

const PAGE = 24; // runs that show at first, and that "Show more" adds
const MOST = 100; // runs of one answer
const FILTERS = ["q", "state", "control", "rating", "score", "since", "until", "sort"];

/** @type {import("../lib/view.js").View} */
export async function view(root, { query }, signal) {
  const list = new RunList(root, query, signal);
  const refreshSoon = throttled(() => list.refresh(), 1500);
  listen("video.state", refreshSoon, signal);
  listen("resync", refreshSoon, signal);
  listen("video.progress", (event) => list.showProgress(event), signal);
  await list.load();
}

class RunList {
  /**
   * @param {HTMLElement} root
   * @param {URLSearchParams} query
   * @param {AbortSignal} signal
   */
  constructor(root, query, signal) {
    this.root = root;
    this.signal = signal;
    this.filters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
    this.filtersOpen = false; // on a phone
    /** @type {Video[]} */
    this.videos = [];
    this.more = false;
    this.marked = new Set(query.get("pick") ? [query.get("pick")] : []);
    this.applySoon = throttled(() => this.apply(), 300);
  }

  /** Show the first page of the runs that the filters let through. Throws ApiError. */
  async load() {
    await this.fetch(PAGE);
  }

  /** Load what is shown once more. */
  async refresh() {
    await this.fetch(Math.max(PAGE, this.videos.length));
  }

  /** Show one more page. */
  async loadMore() {
    await this.fetch(PAGE, this.videos);
  }

  /**
   * Fetch `limit` runs after those of `before`.
   * @param {number} limit
   * @param {Video[]} [before]
   */
  async fetch(limit, before = []) {
    const found = [...before];
    const wanted = before.length + limit;
    let more = true;
    while (more && found.length < wanted) {
      const part = { limit: Math.min(MOST, wanted - found.length), after: found.at(-1)?.id };
      const answer = await api.videos({ ...this.conditions(), ...part }, { signal: this.signal });
      found.push(...answer.data);
      more = answer.has_more;
    }
    this.videos = found;
    this.more = more;
    this.draw();
  }

  conditions() {
    const { since, until, sort, ...conditions } = this.filters;
    const [by, order] = (sort || "created:desc").split(":");
    return {
      ...conditions,
      sort: by,
      order,
      created_after: since ? dayStart(since) : "",
      created_before: until ? dayStart(until, 1) : "",
    };
  }

  /** Take the changed filters into the address, and load anew. */
  async apply() {
    const set = Object.entries(this.filters).filter(([, value]) => value !== "");
    history.replaceState(null, "", `#/runs${set.length ? `?${new URLSearchParams(set)}` : ""}`);
    try {
      await this.load();
    } catch (error) {
      if (!this.signal.aborted) toast(messageOf(error), "bad");
    }
  }

  /** @param {ProgressEvent} event */
  showProgress({ video: id, step, steps, eta_seconds: eta }) {
    const video = this.videos.find((each) => each.id === id);
    if (!video) return;
    Object.assign(video, { step, steps, eta_seconds: eta });
    this.draw();
  }

  draw() {
    if (this.signal.aborted) return;
    rememberOrder(this.videos.map((video) => video.id));
    paint(
      this.root,
      html`<h1>Runs</h1>
        ${this.filterForm()}${this.bulkBar()}
        <ul class="grid" aria-label="Runs found">
          ${repeat(
            this.videos,
            (video) => video.id,
            (video) => this.card(video),
          )}
        </ul>
        <div class="foot">
          ${this.videos.length ? nothing : html`<p class="empty card">No run matches.</p>`}
          ${this.more
            ? html`<button type="button" data-key="more" @click=${guarded(() => this.loadMore())}>Show more</button>`
            : nothing}
        </div>`,
    );
  }

  filterForm() {
    const change = (/** @type {Event} */ event) => {
      if (!inputOf(event).validity.valid) return; // a condition that is being typed
      this.filters[inputOf(event).name] = inputOf(event).value;
      this.applySoon();
    };
    const select = (/** @type {string} */ name, /** @type {string[][]} */ options) => html`<select
      id="filter-${name}"
      name=${name}
      @change=${change}
    >
      ${options.map(
        ([value, label]) => html`<option value=${value} ?selected=${this.filters[name] === value}>${label}</option>`,
      )}
    </select>`;
    const input = (/** @type {string} */ name, /** @type {string} */ type, placeholder = "", pattern = ".*") => html`<input
      id="filter-${name}"
      name=${name}
      type=${type}
      placeholder=${placeholder}
      pattern=${pattern}
      .value=${live(this.filters[name])}
      @input=${change}
    />`;
    const field = (/** @type {string} */ label, /** @type {string} */ name, /** @type {unknown} */ control) =>
      html`<div class="field"><label for="filter-${name}">${label}</label>${control}</div>`;
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.apply();
    };
    const toggle = () => {
      this.filtersOpen = !this.filtersOpen;
      this.draw();
    };
    const controls = server().controls.map((name) => [name, name]);
    return html`<form class="filters ${this.filtersOpen ? "open" : ""}" role="search" @submit=${submit}>
      ${field("Text", "q", input("q", "search", "words of the prompt"))}
      ${field("State", "state", select("state", stateOptions(this.filters.state ?? "")))}
      ${field("Control", "control", select("control", [["", "any control"], ...controls]))}
      ${field("Rating", "rating", select("rating", RATINGS))}
      ${field("Score", "score", input("score", "text", "edge_f1>0.5", CONDITION))}
      ${field("Order", "sort", select("sort", sortOptions()))}
      ${field("From", "since", input("since", "date"))} ${field("To", "until", input("until", "date"))}
      <button type="button" aria-expanded=${this.filtersOpen} @click=${toggle}>Filters</button>
    </form>`;
  }

  /** @param {Video} video */
  card(video) {
    const mark = (/** @type {Event} */ event) => {
      if (inputOf(event).checked) this.marked.add(video.id);
      else this.marked.delete(video.id);
      this.draw();
    };
    const took = isNumber(video.seconds_taken) && hasEnded(video.state) ? `took ${duration(video.seconds_taken)}` : "";
    return html`<li class="card run" data-run=${video.id}>
      <div class="film">
        ${thumbnail(video)}
        <input
          type="checkbox"
          aria-label="Select: ${clean(video.prompt).slice(0, 80)}"
          data-key="mark-${video.id}"
          .checked=${live(this.marked.has(video.id))}
          @change=${mark}
        />${badge(video.state)}
      </div>
      <div class="body">
        ${runLink(video.id, video.prompt, "two-lines")}
        <p class="row tight">${chips(video)}${priorityChip(video.priority)}${ratingShown(video.rating)}</p>
        ${standing(video)}${scoresShown(video)}
        <p class="soft small-print num">${[video.size, took, when(video.created_at)].filter(Boolean).join(" · ")}</p>
        <div class="row tight">${actions(video, () => this.refresh(), { small: true })}</div>
      </div>
    </li>`;
  }

  bulkBar() {
    const chosen = this.videos.filter((video) => this.marked.has(video.id));
    const each = (/** @type {(id: string) => Promise<unknown>} */ call, /** @type {Video[]} */ videos, word = "") =>
      guarded(async () => {
        for (const video of videos) await call(video.id);
        toast(`${count(videos.length, "run")} ${word}.`);
        this.marked.clear();
        await this.refresh();
      });
    const remove = guarded(async () => {
      for (const id of await removeRuns(ended)) this.marked.delete(id);
      await this.refresh();
    });
    const clear = () => {
      this.marked.clear();
      this.draw();
    };
    const open = chosen.filter((video) => !hasEnded(video.state));
    const retryable = chosen.filter((video) => isRetryable(video.state));
    const ended = chosen.filter((video) => hasEnded(video.state));
    const [first, second] = chosen.filter((video) => video.variants.includes("video"));
    const button = (/** @type {Video[]} */ runs, /** @type {string} */ label, /** @type {unknown} */ act) =>
      runs.length ? html`<button type="button" @click=${act}>${label} ${runs.length}</button>` : nothing;
    return html`<div class="bulk" role="region" aria-label="Selected runs" ?hidden=${!chosen.length}>
      <b>${chosen.length} selected</b>
      ${first && second && chosen.length === 2 ? compareLink(first, second) : nothing}
      ${first && chosen.length === 1 ? html`<span class="soft">Select a second one to compare.</span>` : nothing}
      ${button(retryable, "Retry", each(api.retry, retryable, "queued again"))}
      ${button(open, "Cancel", each(api.cancel, open, "cancelled"))} ${button(ended, "Delete", remove)}
      <button type="button" class="plain" @click=${clear}>Clear</button>
    </div>`;
  }
}

const RATINGS = [["", "any rating"], ...[5, 4, 3, 2, 1].map((n) => [String(n), "★".repeat(n)])];

const CONDITION = "\\s*[a-z][a-z0-9_]*\\s*(>=|<=|>|<)\\s*-?[0-9]*[.]?[0-9]+\\s*";

/** The orders of the list: by time, and by each score from either end. */
function sortOptions() {
  const named = server().scores.flatMap(({ name, more_is_better: more }) => [
    [`${name}:${more ? "desc" : "asc"}`, `best ${name} first`],
    [`${name}:${more ? "asc" : "desc"}`, `worst ${name} first`],
  ]);
  return [["", "newest first"], ["created:asc", "oldest first"], ...named];
}

/**
 * The choices of the state filter, with one for a filter of the address that is none of them.
 * @param {string} chosen
 */
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
 * @param {Video} a
 * @param {Video} b
 */
const compareLink = (a, b) => html`<a
  class="button primary"
  href="#/compare?a=${encodeURIComponent(a.id)}&b=${encodeURIComponent(b.id)}"
>Compare</a>`;

/**
 * The first frame of the output; before there is one, of the input.
 * @param {Video} video
 */
function thumbnail(video) {
  const blank = html`<span class="nofilm" aria-hidden="true">▤</span>`;
  if (!video.variants.includes("thumbnail")) return blank;
  const hide = (/** @type {Event} */ event) => {
    /** @type {HTMLElement} */ (event.currentTarget).hidden = true;
  };
  return html`<img src=${contentUrl(video.id, "thumbnail")} alt="" loading="lazy" @error=${hide} />`;
}

/**
 * The cause of a failure, the progress of a running run, or the reason why a run waits.
 * @param {Video} video
 */
function standing(video) {
  if (isFailure(video.state)) return html`<p class="cause">${causeOf(video)}</p>`;
  if (video.cancelling) return html`<p class="soft why">is being cancelled</p>`;
  if (video.state === "running")
    return html`<div>
      <p class="soft num steps">${stepText(video)}</p>
      ${bar(video.step, video.steps, "steps")}
    </div>`;
  return hasEnded(video.state) ? nothing : html`<p class="soft why">${clean(video.reason)}</p>`;
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
