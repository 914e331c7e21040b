// One run: its videos in step, its settings, its history, and the actions on it.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api, contentUrl, playableUrl } from "../lib/api.js";
import { clean, duration, isNumber, settingLabel, when } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { selection } from "../lib/selection.js";
import { hasEnded, priorityLabel, server, stateLabel } from "../lib/server.js";
import { paint, throttled } from "../lib/view.js";
import { removeRuns } from "../list/bulk_actions.js";
import { RUN_KEYS, isForPage, showKeys } from "../list/key_help.js";
import { nameOf } from "../list/run_card.js";
import { guarded } from "../parts/dialogs.js";
import { Player } from "../parts/player.js";
import {
  actions,
  badge,
  bar,
  causeOf,
  chips,
  isFailure,
  isPicture,
  outputName,
  priorityChip,
  rateRun,
  settingsOf,
  stars,
  stepText,
  weightsOf,
} from "../parts/run_parts.js";
import { warningList } from "../parts/warning_list.js";

/** @import { Video, VideoAttempt, VideoChange, VideoHistory } from "../lib/schema.js" */
/** @import { ProgressEvent } from "../lib/live.js" */
/** @import { Track } from "../parts/player.js" */

/** @type {import("../lib/view.js").View} */
export async function view(root, { id }, signal) {
  const page = new RunPage(root, id, signal);
  const refreshSoon = throttled(() => page.refresh());
  listen("video.progress", (event) => event.video === id && page.showProgress(event), signal);
  listen("video.state", (event) => event.video === id && refreshSoon(), signal);
  listen("resync", refreshSoon, signal);
  document.addEventListener("keydown", (event) => page.press(event), { signal });
  await page.refresh();
}

class RunPage {
  /**
   * @param {HTMLElement} root
   * @param {string} id
   * @param {AbortSignal} signal
   */
  constructor(root, id, signal) {
    this.root = root;
    this.id = id;
    this.signal = signal;
    /** @type {{ video: Video, history: VideoHistory } | null} */
    this.shown = null;
    /** @type {Player | null} */
    this.player = null;
    this.playing = ""; // the addresses of the player's videos
    signal.addEventListener("abort", () => this.player?.destroy());
  }

  /** Load the run and its history. Throws ApiError. */
  async refresh() {
    const [video, history] = await Promise.all([
      api.video(this.id, { signal: this.signal }),
      api.history(this.id, { signal: this.signal }),
    ]);
    if (this.signal.aborted) return;
    this.shown = { video, history };
    this.replacePlayer(tracksOf(video));
    this.draw();
  }

  /**
   * Make a player where the videos have changed; a playing player goes on otherwise.
   * @param {Track[]} tracks
   */
  replacePlayer(tracks) {
    const addresses = tracks.map((track) => track.src).join();
    if (addresses === this.playing) return;
    this.player?.destroy();
    this.player = tracks.length ? new Player(tracks, { picture: isPicture(this.shown?.video), split: true }) : null;
    this.playing = addresses;
  }

  /** @param {ProgressEvent} event */
  showProgress({ step, steps, eta_seconds: eta }) {
    if (!this.shown) return;
    Object.assign(this.shown.video, { step, steps, eta_seconds: eta });
    this.draw();
  }

  /** Select the run in the list, or no longer. */
  select() {
    selection.toggle(this.id);
    this.draw();
  }

  /** @param {string | null} id */
  goTo(id) {
    if (!id) return;
    selection.active = id;
    location.hash = `#/run/${encodeURIComponent(id)}`;
  }

  /** @param {number | null} rating */
  async rate(rating) {
    if (this.shown) await rateRun(this.shown.video, rating, () => this.draw());
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (!isForPage(event)) return;
    const { key } = event;
    const [before, after] = selection.neighbours(this.id);
    if (key === "j") this.goTo(after);
    else if (key === "k") this.goTo(before);
    else if (key === "x") this.select();
    else if (key === "?") void showKeys(RUN_KEYS);
    else if (key === "Escape" && !document.fullscreenElement) location.hash = "#/runs";
    else if (/^[0-5]$/.test(key)) void this.rate(Number(key) || null);
    else this.player?.pressed(event);
  }

  draw() {
    if (!this.shown || this.signal.aborted) return;
    const { video, history } = this.shown;
    paint(
      this.root,
      html`<div>${this.head(video)}</div>
        <section>
          ${standing(video)}${warningList(video.warnings)}${this.player?.element}
          ${video.state === "succeeded"
            ? html`<div class="row rate">
                <span class="soft">Your rating</span>${stars(video, (rating) => this.rate(rating))}${scoreLine(video)}
              </div>`
            : nothing}
        </section>
        <div class="columns"><section>${settings(video)}</section><section>${story(history)}</section></div>`,
    );
  }

  /** @param {Video} video */
  head(video) {
    const [before, after] = selection.neighbours(this.id);
    const remove = guarded(async () => {
      if ((await removeRuns([video.id])).length) location.hash = "#/runs";
    });
    const id = encodeURIComponent(video.id);
    return html`<div class="row spread">
        <a href="#/runs" class="back">← Runs</a>
        ${before || after
          ? html`<div class="row tight">
              <span class="soft small-print num">${selection.place(this.id) + 1} of ${selection.order.length.toLocaleString("en")}</span>
              ${stepLink(before, "Before")}${stepLink(after, "Next")}
              <button type="button" class="small" aria-pressed=${selection.has(this.id)} @click=${() => this.select()}>
                ${selection.has(this.id) ? "Selected" : "Select"}
              </button>
            </div>`
          : nothing}
      </div>
      <p class="soft words file-name">${nameOf(video)}</p>
      <h1 class="words prompt">${clean(video.prompt)}</h1>
      <div class="row spread">
        <div class="row tight">
        ${badge(video.state)}${chips(video)}${priorityChip(video.priority)}${labels(video)}
        <code class="soft words">${clean(video.id)}</code>
        <button type="button" class="plain tiny" aria-label="Keys" title="Keys (?)" @click=${() => showKeys(RUN_KEYS)}>?</button>
        </div>
        <div class="row tight verbs">
        ${actions(video, () => this.refresh())}
        <a class="button" href="#/new?from=${id}">Make another</a>
        ${video.variants.includes("video")
          ? html`<a class="button" href="#/runs?state=succeeded&pick=${id}">Compare with…</a>
              <a class="button" href=${contentUrl(video.id, "video")} download=${outputName(video)}>Download</a>`
          : nothing}
        ${hasEnded(video.state) ? html`<button type="button" @click=${remove}>Delete</button>` : nothing}
        </div>
      </div>`;
  }
}

/**
 * @param {string | null} id
 * @param {string} label
 */
const stepLink = (id, label) =>
  id
    ? html`<a class="button small" href="#/run/${encodeURIComponent(id)}">${label}</a>`
    : html`<a class="button small" aria-disabled="true">${label}</a>`;

/**
 * The videos of a run's player: the output, which sets the time, the input, and the used controls.
 * @param {Video} video
 * @returns {Track[]}
 */
function tracksOf(video) {
  const weights = weightsOf(video);
  const controls = video.variants.filter((variant) => variant.startsWith("control_")).toSorted();
  /** @type {Track[]} */
  const tracks = controls.map((variant) => {
    const name = variant.slice("control_".length);
    const note = weights[name] === undefined ? "" : `weight ${weights[name]}`;
    return { label: name, note, src: playableUrl(video.id, variant) };
  });
  if (video.variants.includes("input"))
    tracks.unshift({ label: "Input", note: clean(video.names.video), src: playableUrl(video.id, "input") });
  if (video.variants.includes("video"))
    tracks.unshift({ label: "Output", note: video.size, src: contentUrl(video.id, "video"), master: true });
  return tracks;
}

/**
 * The cause of a failure, the progress, or the reason why the run waits; nothing for a finished run.
 * @param {Video} video
 */
function standing(video) {
  if (isFailure(video.state)) return failure(video);
  if (video.state === "running")
    return html`<div class="card">
      <p class="num steps">${stepText(video)}${video.cancelling ? "; it is being cancelled" : ""}</p>
      ${bar(video.step, video.steps, "steps")}
    </div>`;
  if (hasEnded(video.state)) return nothing;
  const label = stateLabel(video.state);
  const predicted = isNumber(video.predicted_seconds);
  return html`<div class="card">
    <h2>${label.slice(0, 1).toUpperCase()}${label.slice(1)}</h2>
    <p>${clean(video.reason)}</p>
    ${predicted
      ? html`<p class="soft">It takes about ${duration(video.predicted_seconds)} after its start.</p>`
      : nothing}
  </div>`;
}

/**
 * The sweep and the tags of a run.
 * @param {Video} video
 */
function labels({ sweep, tags }) {
  const chip = (/** @type {string} */ query, /** @type {string} */ text) =>
    html`<a class="chip" href="#/runs?${query}">${clean(text)}</a>`;
  return html`${sweep ? chip(`sweep=${encodeURIComponent(sweep)}`, sweep) : nothing}
  ${Object.entries(tags ?? {}).map(([name, value]) => chip(`tag=${encodeURIComponent(`${name}:${value}`)}`, `${name}: ${value}`))}`;
}

/**
 * The scores of a finished run in one line, and what is broken about its video.
 * @param {Video} video
 */
function scoreLine(video) {
  const scores = server().scores.filter(({ name, more_is_better: more }) => more && video.scores[name] !== undefined);
  const flags = video.flags.map((flag) => html`<span class="badge failed">${flag}</span>`);
  const values = scores.map(({ name }) => `${name} ${video.scores[name]?.toFixed(2)}`);
  return html`${flags}<span class="soft small-print num scores">${values.join(" · ")}</span>`;
}

/** @param {Video} video */
function failure(video) {
  const blocked = video.state === "blocked";
  return html`<div class="card failure" role="note">
    <h2>${blocked ? "Blocked" : "Failed"}</h2>
    <p class="words cause-text">${causeOf(video)}</p>
    ${video.failures > 1 ? html`<p class="soft">It has failed ${video.failures} times.</p>` : nothing}
    ${video.deaths
      ? html`<p class="soft">Workers that crashed while executing it: ${video.deaths}.</p>`
      : nothing}
    ${blocked
      ? html`<p class="soft">
          A retry sends the same request again; “Make another” starts a new run from it, which you can change.
        </p>`
      : nothing}
  </div>`;
}

/** @param {Video} video */
function settings(video) {
  const inputs = Object.entries(video.names).map(([name, file]) => [
    name === "video" ? "input" : `${name} video`,
    clean(file),
  ]);
  const weights = Object.entries(weightsOf(video))
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => [`weight of ${name}`, String(weight)]);
  const took = isNumber(video.seconds_taken) && hasEnded(video.state);
  const rows = [
    ...inputs,
    ...weights,
    ...settingsOf(video).map(([name, value]) => [settingLabel(name), value]),
    ["priority", `${priorityLabel(video.priority)} (${video.priority})`],
    ["submitted", when(video.created_at)],
    ["finished", when(video.completed_at)],
    ["batch", String(video.batch ?? "")],
    ["predicted", isNumber(video.predicted_seconds) ? duration(video.predicted_seconds) : ""],
    ...server().scores.map(({ name }) => [`score ${name}`, String(video.scores[name] ?? "")]),
    ["flags", video.flags.join(", ")],
    ...attemptsOf(video),
    ["took", took ? duration(video.seconds_taken) : ""],
  ].filter(([, value]) => value !== "");
  return html`<h2>Settings</h2>
    <dl class="facts card">
      ${rows.map(([name, value]) => html`<dt>${name}</dt><dd class="words num">${clean(value)}</dd>`)}
    </dl>
    ${video.variants.includes("run")
      ? html`<p>
          <a href=${contentUrl(video.id, "run")} download="${video.id}.json">The whole record (run.json)</a>
        </p>`
      : nothing}`;
}

/**
 * The scores that a run has to reach, and what its attempts gave.
 * @param {Video} video
 * @returns {[string, string][]}
 */
function attemptsOf(video) {
  const wanted = Object.entries(video.accept ?? {}).map(([name, text]) => `${name} ${text}`);
  const tries = video.acceptance?.tries ?? [];
  const verdict = video.acceptance?.accepted ? "accepted" : `not accepted: ${video.acceptance?.missed.join(", ")}`;
  return [
    ["scores to reach", wanted.join(", ")],
    ["verdict", tries.length ? verdict : ""],
    ["attempts", tries.length ? `${tries.length} of ${video.attempts}` : ""],
    ["seed of the best", String(video.acceptance?.seed ?? "")],
  ];
}

/** @param {VideoHistory} history */
function story({ data, attempts }) {
  const change = (/** @type {VideoChange} */ event) => html`<li>
    <time class="soft num">${clock(event.at)}</time>
    <div><b>${stateLabel(event.state)}</b> <span class="soft words">${clean(event.reason)}</span></div>
  </li>`;
  return html`<h2>History</h2>
    <ol class="story card">${data.map(change)}</ol>
    ${attempts.length
      ? html`<h3>Attempts</h3>
          <ol class="story card">${attempts.map(attemptRow)}</ol>`
      : nothing}`;
}

/** @param {VideoAttempt} attempt */
function attemptRow(attempt) {
  const place = `in batch ${attempt.batch} by ${clean(attempt.worker)}`;
  const took = attempt.ended ? `, ${duration(attempt.ended - attempt.started)}` : "";
  return html`<li>
    <time class="soft num">${clock(attempt.started)}</time>
    <div>
      <b>${attempt.outcome ?? "running"}</b> ${place}, step ${attempt.step} of ${attempt.steps}${took}
      ${attempt.cause ? html`<p class="words cause-text">${clean(attempt.cause)}</p>` : nothing}
    </div>
  </li>`;
}

/** @param {number} unix */
const clock = (unix) => `${when(unix)}:${String(new Date(unix * 1000).getSeconds()).padStart(2, "0")}`;
