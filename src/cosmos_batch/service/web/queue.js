// The queue, as the planner sees it: what runs, what waits in which group and why, and what needs somebody.

import { api } from "./api.js";
import { button, confirmed, el, fill } from "./dom.js";
import { clean, count, duration, when } from "./format.js";
import { gently, listen } from "./live.js";
import { actions, badge, bar, priorityChip, runLink, setBar, stepWords } from "./parts.js";
import { showHeld, showWaiting } from "./waiting.js";

export async function show(root, { signal }) {
  const head = el("section", { class: "bar-top" });
  const needs = el("section");
  const running = el("section");
  const waiting = el("section");
  const held = el("section");
  root.append(el("h1", {}, "Queue"), head, running, needs, waiting, held);

  const refresh = async () => {
    const [queue, troubled] = await Promise.all([
      api.queue({ signal }),
      api.videos({ state: "failed,blocked", limit: 3 }, { signal }),
    ]);
    const unplanned = await unplannedOf(queue, signal);
    if (signal.aborted) return;
    showHead(head, queue, refresh);
    showTroubled(needs, troubled, again);
    showRunning(running, queue, again);
    showWaiting(waiting, queue, unplanned, again);
    showHeld(held, queue.held_back ?? {});
  };
  const again = gently(() => refresh().catch(() => {})); // a lost server shows in the header, and "resync" follows
  for (const kind of ["queue", "video.state", "resync"]) listen(kind, again, signal);
  listen("video.progress", (news) => moveBars(running, news), signal);
  await refresh();
}

/** Runs that wait and are in no group yet: they came after the latest plan, or nobody plans while all is paused. */
async function unplannedOf({ counts, groups, held_back: held = {} }, signal) {
  const planned = groups.reduce((sum, group) => sum + group.runs_total, 0) + Object.keys(held).length;
  if (waitingIn(counts) <= planned) return [];
  const { data } = await api.videos({ state: "queued,preempted", limit: 50 }, { signal });
  const shown = new Set([
    ...Object.keys(held),
    ...groups.flatMap((group) => group.batches.flatMap((batch) => batch.runs.map((run) => run.id))),
  ]);
  return data.filter((video) => !shown.has(video.id));
}

const waitingIn = (counts) => (counts.queued ?? 0) + (counts.preempted ?? 0);

function showHead(node, { mode, counts, seconds, workers, trouble }, refresh) {
  const set = (verb, label, kind) =>
    button(label, async () => (await api.setQueue(verb), await refresh()), { kind, key: verb });
  const drain = button(
    "Drain",
    async () => {
      const yes = await confirmed(
        "Drain the queue?",
        "What runs now is finished and nothing new is started, so that the server can be stopped. What waits is kept.",
        "Drain",
      );
      if (yes) await api.setQueue("drain");
      await refresh();
    },
    { key: "drain" },
  );
  const alive = workers.filter((worker) => worker.alive);
  fill(
    node,
    el(
      "div",
      { class: "row spread" },
      el(
        "p",
        { class: "lead" },
        { running: "Running", paused: "Paused", draining: "Draining" }[mode] ?? mode,
        el("span", { class: "soft" }, ` ${modeWords(mode, counts, seconds)}`),
      ),
      el(
        "div",
        { class: "row" },
        mode === "running" ? [set("pause", "Pause", ""), drain] : set("resume", "Resume", "primary"),
      ),
    ),
    el(
      "ul",
      { class: "workers" },
      workers.map((worker) =>
        el(
          "li",
          {},
          el("span", { class: `dot ${worker.alive ? "on" : "off"}`, "aria-hidden": "true" }),
          `${[worker.id, worker.device].filter(Boolean).map(clean).join(", ")}: `,
          worker.alive ? clean(worker.trouble || worker.state) : `not heard of since ${when(worker.seen)}`,
        ),
      ),
    ),
    alive.length || trouble || mode === "paused"
      ? null
      : el("p", { class: "banner warn" }, "No worker is alive: runs are kept, and start when one comes up."),
  );
}

function modeWords(mode, counts, seconds) {
  const waiting = waitingIn(counts);
  const work = waiting
    ? `${count(waiting, "run")} waiting` + (seconds > 0 ? `, about ${duration(seconds)} of work` : "")
    : "nothing waits";
  if (mode === "paused") return `The GPU is free; ${work}.`;
  return mode === "draining" ? `What runs is finished, nothing new starts; ${work}.` : `${work}.`;
}

function showTroubled(node, { data, has_more: more }, again) {
  if (!data.length) return fill(node);
  fill(
    node,
    el(
      "div",
      { class: "row spread" },
      el("h2", {}, "Needs a look"),
      el("a", { href: "#/runs?state=failed,blocked" }, more ? "All of them" : "Open in Runs"),
    ),
    el(
      "ul",
      { class: "list card" },
      data.map((video) =>
        el(
          "li",
          {},
          el(
            "div",
            { class: "grow" },
            el(
              "div",
              { class: "row tight nowrap" },
              badge(video.state),
              runLink(video.id, video.prompt, { class: "one-line" }),
            ),
            el("p", { class: "cause two-lines" }, clean(video.error?.message ?? video.reason)),
          ),
          el("div", { class: "row tight" }, actions(video, again, { small: true })),
        ),
      ),
    ),
  );
}

function showRunning(node, { running }, again) {
  if (!running.length) return fill(node);
  fill(
    node,
    el("h2", {}, "Running now"),
    running.map((batch) => runningCard(batch, again)),
  );
}

function runningCard(batch, again) {
  const what = `Batch ${batch.batch}: ${count(batch.runs.length, "run")}, ${batch.width}×${batch.height}, ${count(batch.frames, "frame")}`;
  return el(
    "article",
    { class: "card running", data: { batch: String(batch.batch) } },
    el(
      "div",
      { class: "row spread" },
      el("h3", {}, what),
      el("p", { class: "soft num", data: { eta: "batch" } }, etaWords(batch.eta_seconds, batch.predicted_seconds)),
    ),
    el(
      "ul",
      { class: "list" },
      batch.runs.map((run) =>
        el(
          "li",
          { data: { run: run.id } },
          el(
            "div",
            { class: "grow" },
            el(
              "div",
              { class: "row spread nowrap" },
              el("span", { class: "one-line" }, priorityChip(run.priority), " ", runLink(run.id, run.prompt)),
              el("span", { class: "soft num steps" }, stepWords(run)),
            ),
            bar(run.step, run.steps, `steps of ${clean(run.prompt).slice(0, 60)}`),
          ),
          el(
            "div",
            { class: "row tight" },
            actions({ ...run, priority: 100, state: "running" }, again, { small: true }),
          ),
        ),
      ),
    ),
  );
}

const etaWords = (eta, predicted) =>
  (Number.isFinite(eta) ? `${duration(eta)} left` : "time left: unknown") +
  (predicted ? ` of ${duration(predicted)}` : "");

function moveBars(node, news) {
  const { video, step, steps, eta_seconds: eta } = news;
  const row = [...node.querySelectorAll("[data-run]")].find((li) => li.dataset.run === video);
  if (!row) return;
  setBar(row.querySelector(".bar"), step, steps);
  row.querySelector(".steps").textContent = stepWords(news);
  const card = row.closest("[data-batch]");
  if (Number.isFinite(eta) && card.querySelectorAll("[data-run]").length === 1) {
    card.querySelector("[data-eta]").textContent = etaWords(eta, null);
  }
}
