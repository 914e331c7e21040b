// What waits, group by group, in the order of the plan.

import { el, fill } from "./dom.js";
import { clean, count, duration, size, stateWord } from "./format.js";
import { actions, priorityChip, runLink } from "./parts.js";

/** Paint the groups, and the runs that are in none yet, or that nothing waits. */
export function showWaiting(node, queue, unplanned, again) {
  if (!queue.groups.length && !unplanned.length) {
    const rest =
      queue.running.length || Object.keys(queue.held_back ?? {}).length
        ? null
        : el(
            "div",
            { class: "empty card" },
            el("p", {}, "Nothing runs and nothing waits."),
            el("a", { class: "button primary", href: "#/new" }, "Make a video"),
          );
    return fill(node, rest);
  }
  fill(
    node,
    el("h2", {}, "Waiting"),
    el(
      "p",
      { class: "soft" },
      "In the order of the plan, which is made anew whenever a run comes or goes. ",
      queue.flushed ? `Last planned because ${clean(queue.flushed)}.` : "",
    ),
    el(
      "ol",
      { class: "groups" },
      queue.groups.map((group) => el("li", {}, groupCard(group, again))),
    ),
    unplanned.length
      ? el(
          "article",
          { class: "card group" },
          el("h3", {}, "Not planned yet"),
          el(
            "ul",
            { class: "list" },
            unplanned.map((run) => waitingRow(run, again)),
          ),
        )
      : null,
  );
}

/** Paint the runs that are in no group for now. */
export function showHeld(node, held) {
  const runs = Object.entries(held);
  if (!runs.length) return fill(node);
  fill(
    node,
    el("h2", {}, "Held back for now"),
    el(
      "ul",
      { class: "list card" },
      runs.map(([id, reason]) =>
        el("li", {}, el("div", { class: "grow" }, runLink(id, id), el("p", { class: "soft why" }, clean(reason)))),
      ),
    ),
  );
}

function groupCard(group, again) {
  const controls = group.controls.length ? group.controls.join(" + ") : "no control";
  return el(
    "article",
    { class: "card group" },
    el(
      "div",
      { class: "row spread" },
      el("h3", {}, controls, el("span", { class: "soft" }, ` ${count(group.runs_total, "run")}`)),
      el("p", { class: "soft num" }, `${startWords(group.starts_in_seconds)}, takes ${duration(group.seconds)}`),
    ),
    el("p", { class: "soft" }, clean(group.reason)),
    group.batches.map((batch, n) => batchPart(group, batch, n, again)),
  );
}

const startWords = (seconds) => (seconds > 1 ? `starts in ${duration(seconds)}` : "starts next");

function batchPart(group, batch, n, again) {
  const size_ = Number.isFinite(batch.bytes) ? ` · ${size(batch.bytes)}` : "";
  const hidden = batch.runs_total - batch.runs.length;
  return el(
    "details",
    { class: "batch", open: n < 3, data: { key: `batch-${group.index}-${n}` } },
    el(
      "summary",
      { data: { key: `summary-${group.index}-${n}` } },
      batch.runs_total === 1 ? "Alone" : `Batch of ${batch.runs_total}`,
      el(
        "span",
        { class: "soft num" },
        ` ${batch.width}×${batch.height} · ${count(batch.frames, "frame")} · ${duration(batch.seconds)}${size_}`,
      ),
    ),
    el(
      "ul",
      { class: "list" },
      batch.runs.map((run) => waitingRow(run, again)),
      hidden > 0 ? el("li", { class: "soft" }, `and ${count(hidden, "more run")}`) : null,
    ),
  );
}

function waitingRow(run, again) {
  const aside = run.state === "queued" ? "" : `${stateWord(run.state)}: `;
  return el(
    "li",
    { data: { run: run.id } },
    el(
      "div",
      { class: "grow" },
      el("span", { class: "one-line" }, priorityChip(run.priority), " ", runLink(run.id, run.prompt)),
      el("p", { class: "soft why" }, aside, clean(run.reason)),
    ),
    el("div", { class: "row tight" }, actions(run, again, { small: true })),
  );
}
