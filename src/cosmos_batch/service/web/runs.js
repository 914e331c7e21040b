// All runs: find, look, compare, and put right what failed. The filters live in the address, to be kept and sent.

import { api } from "./api.js";
import { button, el, field, fill, select, toast } from "./dom.js";
import { clean, count, duration, isOpen, when } from "./format.js";
import { gently, listen } from "./live.js";
import {
  actions,
  badge,
  bar,
  chips,
  priorityChip,
  removeRuns,
  runLink,
  setBar,
  starsShown,
  stepWords,
} from "./parts.js";
import { remember } from "./neighbours.js";

const STATES = [
  ["", "any state"],
  ["succeeded", "finished"],
  ["failed,blocked", "failed or blocked"],
  ["queued,leased,running,preempted", "waiting or running"],
  ["cancelled", "cancelled"],
];
const PAGE = 24;

export async function show(root, { query, signal }) {
  const page = new Runs(query, signal);
  root.append(el("h1", {}, "Runs"), page.filters(), page.bulk, page.grid, page.foot);
  for (const kind of ["video.state", "resync"])
    listen(
      kind,
      gently(() => page.refresh().catch(() => {}), 1500),
      signal,
    );
  listen("video.progress", (news) => page.progress(news), signal);
  await page.load();
}

class Runs {
  constructor(query, signal) {
    this.query = query;
    this.signal = signal;
    this.videos = [];
    this.marked = new Set(query.get("pick") ? [query.get("pick")] : []);
    this.more = false;
    this.last = null;
    this.grid = el("ul", { class: "grid", "aria-label": "Runs found" });
    this.foot = el("div", { class: "foot" });
    this.bulk = el("div", { class: "bulk", role: "region", "aria-label": "Selected runs" });
  }

  filters() {
    const of = (name) => this.query.get(name) ?? "";
    const text = el("input", { type: "search", value: of("q"), placeholder: "words of the prompt" });
    const state = select(STATES, of("state"));
    const control = select(
      [["", "any control"], ...["depth", "edge", "seg", "vis"].map((c) => [c, c])],
      of("control"),
    );
    const rating = select(
      [["", "any rating"], ...[5, 4, 3, 2, 1].map((n) => [String(n), "★".repeat(n)])],
      of("rating"),
    );
    const since = el("input", { type: "date", value: of("since") });
    const until = el("input", { type: "date", value: of("until") });
    const inputs = { q: text, state, control, rating, since, until };
    const form = el(
      "form",
      { class: "filters", role: "search" },
      field("Text", text),
      field("State", state),
      field("Control", control),
      field("Rating", rating),
      field("From", since),
      field("To", until),
      el(
        "button",
        {
          type: "button",
          "aria-expanded": "false",
          on: {
            click: (event) => event.target.setAttribute("aria-expanded", String(form.classList.toggle("open"))),
          },
        },
        "Filters",
      ),
    );
    const apply = () => {
      const set = Object.entries(inputs)
        .filter(([, input]) => input.value !== "")
        .map(([name, input]) => [name, input.value]);
      this.query = new URLSearchParams(set);
      history.replaceState(null, "", `#/runs${set.length ? `?${this.query}` : ""}`);
      this.load().catch((error) => toast(error.message, "bad"));
    };
    const soon = gently(apply, 300);
    form.addEventListener("change", soon);
    text.addEventListener("input", soon);
    form.addEventListener("submit", (event) => (event.preventDefault(), apply()));
    return form;
  }

  /** The page of runs after `after` that the filters let through; dates are compared with the time of creation. */
  async fetch(after, limit) {
    const [since, until] = ["since", "until"].map((name) => this.query.get(name));
    const [from, to] = [since ? day(since) : -Infinity, until ? day(until, 1) : Infinity];
    const asked = Object.fromEntries(
      ["q", "state", "control", "rating"].map((name) => [name, this.query.get(name)]),
    );
    const found = [];
    let more = true;
    while (more && found.length < limit) {
      const answer = await api.videos(
        { ...asked, limit: since || until ? 100 : limit, after, order: "desc" },
        { signal: this.signal },
      );
      for (const video of answer.data) if (video.created_at >= from && video.created_at < to) found.push(video);
      after = answer.last_id;
      more = answer.has_more && answer.data.at(-1).created_at >= from; // newest first: older ones cannot match
    }
    return { found, after, more };
  }

  async load() {
    const { found, after, more } = await this.fetch(undefined, PAGE);
    Object.assign(this, { videos: found, last: after, more });
    this.paint();
  }

  async loadMore() {
    const { found, after, more } = await this.fetch(this.last, PAGE);
    Object.assign(this, { videos: [...this.videos, ...found], last: after, more });
    this.paint();
  }

  /** Look again at what is shown. */
  async refresh() {
    const { found, after, more } = await this.fetch(undefined, Math.max(PAGE, this.videos.length));
    Object.assign(this, { videos: found, last: after, more });
    this.paint();
  }

  progress(news) {
    const { video, step, steps } = news;
    const card = [...this.grid.children].find((li) => li.dataset.run === video);
    const line = card?.querySelector(".bar");
    if (!line) return;
    setBar(line, step, steps);
    card.querySelector(".steps").textContent = stepWords(news);
  }

  paint() {
    if (this.signal.aborted) return;
    remember(this.videos.map((video) => video.id));
    fill(
      this.grid,
      this.videos.map((video) => this.card(video)),
    );
    fill(
      this.foot,
      this.videos.length ? null : el("p", { class: "empty card" }, "No run matches."),
      this.more ? button("Show more", () => this.loadMore(), { key: "more" }) : null,
    );
    this.paintBulk();
  }

  card(video) {
    const box = el("input", {
      type: "checkbox",
      checked: this.marked.has(video.id),
      data: { key: `mark-${video.id}` },
      "aria-label": `Select: ${clean(video.prompt).slice(0, 80)}`,
    });
    box.addEventListener(
      "change",
      () => (box.checked ? this.marked.add(video.id) : this.marked.delete(video.id), this.paintBulk()),
    );
    return el(
      "li",
      { class: "card run", data: { run: video.id } },
      el("div", { class: "film" }, thumbnail(video), box, badge(video.state)),
      el(
        "div",
        { class: "body" },
        runLink(video.id, video.prompt, { class: "two-lines", data: { key: `link-${video.id}` } }),
        el(
          "p",
          { class: "row tight" },
          chips(video.execution_config?.weights),
          priorityChip(video.priority),
          starsShown(video.rating),
        ),
        standing(video),
        el(
          "p",
          { class: "soft small-print num" },
          [video.size, takenWords(video), when(video.created_at)].filter(Boolean).join(" · "),
        ),
        el(
          "div",
          { class: "row tight" },
          actions(video, () => this.refresh(), { small: true }),
        ),
      ),
    );
  }

  paintBulk() {
    const chosen = this.videos.filter((video) => this.marked.has(video.id));
    this.bulk.hidden = !chosen.length;
    const each = async (what, videos, word) => {
      for (const video of videos) await what(video.id);
      toast(`${count(videos.length, "run")} ${word}.`);
      this.marked.clear();
      await this.refresh();
    };
    const open = chosen.filter((video) => isOpen(video.state));
    const failed = chosen.filter((video) => ["failed", "blocked", "cancelled"].includes(video.state));
    const done = chosen.filter((video) => !isOpen(video.state));
    const films = chosen.filter((video) => video.variants?.includes("video"));
    fill(
      this.bulk,
      el("b", {}, `${chosen.length} selected`),
      films.length === 2 && chosen.length === 2
        ? el(
            "a",
            {
              class: "button primary",
              href: `#/compare?a=${encodeURIComponent(films[0].id)}&b=${encodeURIComponent(films[1].id)}`,
            },
            "Compare",
          )
        : null,
      chosen.length < 2 && films.length ? el("span", { class: "soft" }, "Select a second one to compare.") : null,
      failed.length ? button(`Retry ${failed.length}`, () => each(api.retry, failed, "queued again")) : null,
      open.length ? button(`Cancel ${open.length}`, () => each(api.cancel, open, "cancelled")) : null,
      done.length
        ? button(`Delete ${done.length}`, async () => {
            for (const id of await removeRuns(done)) this.marked.delete(id);
            await this.refresh();
          })
        : null,
      el(
        "button",
        { type: "button", class: "plain", on: { click: () => (this.marked.clear(), this.paint()) } },
        "Clear",
      ),
    );
  }
}

/** The first picture of the output, until there is one of the input. */
function thumbnail(video) {
  const blank = el("span", { class: "nofilm", "aria-hidden": "true" }, "▤");
  if (!video.variants?.includes("thumbnail")) return blank;
  const picture = el("img", { src: api.content(video.id, "thumbnail"), alt: "", loading: "lazy" });
  picture.addEventListener("error", () => picture.replaceWith(blank));
  return picture;
}

function standing(video) {
  if (["failed", "blocked"].includes(video.state))
    return el("p", { class: "cause" }, clean(video.error?.message ?? video.reason));
  if (video.cancelling) return el("p", { class: "soft why" }, "is being cancelled");
  if (video.state === "running") {
    return el(
      "div",
      {},
      el("p", { class: "soft num steps" }, stepWords(video)),
      bar(video.step, video.steps, "steps"),
    );
  }
  return isOpen(video.state) ? el("p", { class: "soft why" }, clean(video.reason)) : null;
}

const takenWords = (video) =>
  Number.isFinite(video.seconds_taken) && !isOpen(video.state) ? `took ${duration(video.seconds_taken)}` : "";

/** The Unix time at which a day begins here, or the day `later` days after it. */
function day(text, later = 0) {
  const [year, month, date] = text.split("-").map(Number);
  return new Date(year, month - 1, date + later).getTime() / 1000;
}
