// One run: its videos side by side in step, what it was asked for, what happened to it, and what can be done.

import { api } from "./api.js";
import { el, fill } from "./dom.js";
import { baseName, clean, duration, isOpen, priorityWord, settingWord, stateWord, when } from "./format.js";
import { gently, listen } from "./live.js";
import { neighbours } from "./neighbours.js";
import { actions, badge, bar, chips, priorityChip, removeRuns, setBar, stars, stepWords, words } from "./parts.js";
import { syncPlayer } from "./player.js";

export async function show(root, { id, signal }) {
  const page = new RunPage(id, signal);
  root.append(...page.parts);
  listen("video.progress", (news) => news.video === id && page.progress(news), signal);
  const again = gently(() => page.refresh().catch(() => {}));
  listen("video.state", (news) => news.video === id && again(), signal);
  listen("resync", again, signal);
  signal.addEventListener("abort", () => page.player?.destroy());
  await page.refresh();
}

class RunPage {
  constructor(id, signal) {
    Object.assign(this, { id, signal, player: null, shown: "" });
    [this.head, this.stage, this.side, this.log] = ["div", "section", "section", "section"].map((tag) => el(tag));
    this.parts = [this.head, this.stage, el("div", { class: "columns" }, this.side, this.log)];
  }

  async refresh() {
    const [video, history] = await Promise.all([
      api.video(this.id, { signal: this.signal }),
      api.history(this.id, { signal: this.signal }),
    ]);
    if (this.signal.aborted) return;
    this.paintHead(video);
    this.paintStage(video);
    fill(this.side, settings(video));
    fill(this.log, story(history));
  }

  paintHead(video) {
    const [before, after] = neighbours(this.id);
    const step = (to, label) =>
      el(
        "a",
        {
          class: "button small",
          ...(to ? { href: `#/run/${encodeURIComponent(to)}` } : { "aria-disabled": "true" }),
        },
        label,
      );
    fill(
      this.head,
      el(
        "div",
        { class: "row spread" },
        el("a", { href: "#/runs", class: "back" }, "← Runs"),
        before || after ? el("div", { class: "row tight" }, step(before, "Newer"), step(after, "Older")) : null,
      ),
      words(video.prompt, { class: "prompt" }, "h1"),
      el(
        "div",
        { class: "row" },
        badge(video.state),
        chips(video.execution_config?.weights),
        priorityChip(video.priority),
        el("code", { class: "soft words" }, clean(video.id)),
      ),
      el(
        "div",
        { class: "row verbs" },
        actions(video, () => this.refresh()),
        el("a", { class: "button", href: `#/new?from=${encodeURIComponent(video.id)}` }, "Make another"),
        video.variants?.includes("video")
          ? [
              el(
                "a",
                { class: "button", href: `#/runs?state=succeeded&pick=${encodeURIComponent(video.id)}` },
                "Compare with…",
              ),
              el(
                "a",
                { class: "button", href: api.content(video.id, "video"), download: `${video.id}.mp4` },
                "Download",
              ),
            ]
          : null,
        isOpen(video.state)
          ? null
          : el("button", { type: "button", on: { click: () => this.remove(video) } }, "Delete"),
      ),
    );
  }

  async remove(video) {
    if ((await removeRuns([video])).length) location.hash = "#/runs";
  }

  /** The videos there are; where there is no output yet, how far it is, or why there will be none. */
  paintStage(video) {
    const tracks = tracksOf(video);
    const now = tracks.map((track) => track.src).join();
    if (now !== this.shown) {
      // a player that plays is not disturbed by news
      this.player?.destroy();
      this.player = tracks.length ? syncPlayer(tracks) : null;
      this.shown = now;
      this.film = el("div", {}, this.player?.element);
    }
    const rated =
      video.state === "succeeded"
        ? el(
            "div",
            { class: "row rate" },
            el("span", { class: "soft" }, "Your rating"),
            stars(video.id, video.rating, (n) => api.rate(video.id, n)),
          )
        : null;
    if (this.film.parentNode === this.stage) this.film.remove();
    fill(this.stage, standing(video), this.film, rated);
  }

  progress(news) {
    const line = this.stage.querySelector(".bar");
    if (!line) return;
    setBar(line, news.step, news.steps);
    this.stage.querySelector(".steps").textContent = stepWords(news);
  }
}

/** What a player of this run shows: the input, the controls it used, the output, which leads. */
export function tracksOf(video) {
  const weights = video.execution_config?.weights ?? {};
  const has = (variant) => video.variants?.includes(variant);
  const controls = (video.variants ?? []).filter((variant) => variant.startsWith("control_")).sort();
  return [
    has("input") && { label: "Input", note: baseName(video.inputs?.video), src: api.film(video.id, "input") },
    ...controls.map((variant) => {
      const name = variant.slice("control_".length);
      return {
        label: name,
        note: weights[name] === undefined ? "" : `weight ${weights[name]}`,
        src: api.film(video.id, variant),
      };
    }),
    has("video") && { label: "Output", note: video.size, src: api.content(video.id, "video"), master: true },
  ].filter(Boolean);
}

function standing(video) {
  if (["failed", "blocked"].includes(video.state)) {
    return el(
      "div",
      { class: "card failure", role: "note" },
      el("h2", {}, video.state === "blocked" ? "Blocked" : "Failed"),
      words(video.error?.message ?? video.reason, { class: "cause-text" }, "p"),
      video.failures > 1 ? el("p", { class: "soft" }, `It has failed ${video.failures} times.`) : null,
      video.deaths ? el("p", { class: "soft" }, `Workers that died with it aboard: ${video.deaths}.`) : null,
      video.state === "blocked"
        ? el(
            "p",
            { class: "soft" },
            "A retry asks for the same again; “Make another” starts from it with what you change.",
          )
        : null,
    );
  }
  if (video.state === "running") {
    return el(
      "div",
      { class: "card" },
      el("p", { class: "num steps" }, stepWords(video), video.cancelling ? "; it is being cancelled" : ""),
      bar(video.step, video.steps, "steps"),
    );
  }
  if (!isOpen(video.state)) return null;
  const guess = Number.isFinite(video.predicted_seconds)
    ? `Once it starts, it will take about ${duration(video.predicted_seconds)}.`
    : "";
  return el(
    "div",
    { class: "card" },
    el("h2", {}, stateWord(video.state)[0].toUpperCase() + stateWord(video.state).slice(1)),
    el("p", {}, clean(video.reason)),
    el("p", { class: "soft" }, guess),
  );
}

function settings(video) {
  const { weights, ...config } = video.execution_config ?? {};
  const rows = [
    ...Object.entries(video.inputs ?? {}).map(([name, ref]) => [
      name === "video" ? "input" : `${name} video`,
      baseName(ref),
    ]),
    ...Object.entries(weights ?? {})
      .filter(([, weight]) => weight > 0)
      .map(([name, weight]) => [`weight of ${name}`, weight]),
    ...Object.entries(config)
      .filter(([, value]) => value !== null && typeof value !== "object")
      .map(([name, value]) => [settingWord(name), value]),
    ["priority", `${priorityWord(video.priority)} (${video.priority})`],
    ["asked for", when(video.created_at)],
    ["finished", when(video.completed_at)],
    ["batch", video.batch],
    ["predicted", Number.isFinite(video.predicted_seconds) ? duration(video.predicted_seconds) : null],
    ["took", Number.isFinite(video.seconds_taken) && !isOpen(video.state) ? duration(video.seconds_taken) : null],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return [
    el("h2", {}, "Asked for"),
    el(
      "dl",
      { class: "facts card" },
      rows.map(([name, value]) => [el("dt", {}, name), el("dd", { class: "words num" }, clean(value))]),
    ),
    video.variants?.includes("run")
      ? el(
          "p",
          {},
          el(
            "a",
            { href: api.content(video.id, "run"), download: `${video.id}.json` },
            "The whole record (run.json)",
          ),
        )
      : null,
  ];
}

function story({ data, attempts }) {
  return [
    el("h2", {}, "What happened"),
    el(
      "ol",
      { class: "story card" },
      data.map((event) =>
        el(
          "li",
          {},
          el("time", { class: "soft num" }, clock(event.at)),
          el(
            "div",
            {},
            el("b", {}, stateWord(event.state)),
            " ",
            el("span", { class: "soft words" }, clean(event.reason)),
          ),
        ),
      ),
    ),
    attempts?.length
      ? [
          el("h3", {}, "Attempts"),
          el(
            "ol",
            { class: "story card" },
            attempts.map((attempt) =>
              el(
                "li",
                {},
                el("time", { class: "soft num" }, clock(attempt.started)),
                el(
                  "div",
                  {},
                  el("b", {}, attempt.outcome ?? "under way"),
                  ` in batch ${attempt.batch} by ${clean(attempt.worker)}, step ${attempt.step ?? 0} of ${attempt.steps ?? "?"}`,
                  attempt.ended ? `, ${duration(attempt.ended - attempt.started)}` : "",
                  attempt.cause ? words(attempt.cause, { class: "cause-text" }, "p") : null,
                ),
              ),
            ),
          ),
        ]
      : null,
  ];
}

const clock = (unix) =>
  unix ? `${when(unix)}:${String(new Date(unix * 1000).getSeconds()).padStart(2, "0")}` : "";
