// How much was done, what batching saved, and how good the predictions were.

import { api } from "./api.js";
import { barChart, scatterChart } from "./charts.js";
import { el, fill, select } from "./dom.js";
import { count, duration, percent, when } from "./format.js";
import { gently, listen } from "./live.js";

const SPANS = [
  ["24", "the last day"],
  ["168", "the last week"],
  ["720", "the last 30 days"],
];
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 36000, 86400, 172800];

export async function show(root, { query, signal }) {
  const hours = select(SPANS, SPANS.some(([h]) => h === query.get("hours")) ? query.get("hours") : "24", {
    "aria-label": "Time span",
  });
  const place = el("div", { class: "figures" });
  root.append(el("div", { class: "row spread" }, el("h1", {}, "Figures"), hours), place);
  const refresh = async () => {
    const stats = await api.stats(hours.value, { signal });
    if (!signal.aborted) paint(place, stats);
  };
  hours.addEventListener("change", () => {
    history.replaceState(null, "", `#/figures?hours=${hours.value}`);
    again();
  });
  const again = gently(() => refresh().catch(() => {}), 5000);
  listen("video.state", again, signal);
  listen("resync", again, signal);
  await refresh();
}

function paint(place, stats) {
  const ended = stats.buckets.reduce((sum, b) => sum + b.succeeded + b.failed + b.blocked, 0);
  fill(
    place,
    tiles(stats),
    ended
      ? [throughput(stats), saving(stats)]
      : el("p", { class: "empty card" }, "Nothing has finished in this time."),
    stats.predictions.length ? predictions(stats) : null,
    Object.keys(stats.batch_sizes ?? {}).length ? batchSizes(stats) : null,
  );
}

function tiles(stats) {
  const share = stats.alone_seconds > 0 ? stats.saved_seconds / stats.alone_seconds : 0;
  const tile = (name, value, note) =>
    el(
      "div",
      { class: "card tile" },
      el("p", { class: "soft" }, name),
      el("p", { class: "big-number num" }, value),
      el("p", { class: "soft small-print" }, note),
    );
  return el(
    "div",
    { class: "tiles" },
    tile(
      "Videos made",
      stats.succeeded.toLocaleString("en"),
      stats.succeeded ? `${duration(stats.engine_seconds / stats.succeeded)} of engine time each` : "none yet",
    ),
    tile(
      "Saved by batching",
      duration(Math.max(0, stats.saved_seconds)),
      `${percent(Math.max(0, share))} of what the same runs were predicted to take, each launched by itself`,
    ),
    tile(
      "Prediction error",
      Number.isFinite(stats.prediction_error) ? percent(stats.prediction_error) : "not known",
      `the median over ${count(stats.predictions.length, "batch")}`,
    ),
    tile(
      "Wait",
      stats.wait_seconds ? duration(stats.wait_seconds.p50) : "not known",
      stats.wait_seconds
        ? `half start sooner; nine in ten within ${duration(stats.wait_seconds.p90)}`
        : "nothing has started yet",
    ),
  );
}

function columns({ buckets, bucket_seconds: span }, values) {
  const days = buckets.length * span > 2 * 86400;
  return buckets.map((bucket) => {
    const at = new Date(bucket.at * 1000);
    const tick = days
      ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })
      : at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    return { label: `from ${when(bucket.at)}`, tick, values: values(bucket) };
  });
}

const throughput = (stats) =>
  barChart({
    title: "Runs ended",
    stacked: true,
    rows: columns(stats, (b) => [b.succeeded, b.failed + b.blocked, b.cancelled]),
    series: [
      { name: "finished", tone: "good" },
      { name: "failed or blocked", tone: "bad" },
      { name: "cancelled", tone: "quiet" },
    ],
    words: (n) => n.toLocaleString("en"),
  });

const saving = (stats) =>
  barChart({
    title: "Engine time",
    stacked: false,
    rows: columns(stats, (b) => [b.engine_seconds, b.alone_seconds]),
    series: [
      { name: "taken", tone: "accent" },
      { name: "predicted one by one", tone: "quiet" },
    ],
    words: duration,
    steps: TIME_STEPS,
  });

const predictions = (stats) =>
  scatterChart({
    title: "Predicted and taken, by batch",
    points: stats.predictions.map((p) => ({
      x: p.predicted_seconds,
      y: p.seconds,
      name: `batch ${p.batch}`,
      label: `Batch ${p.batch}, ${count(p.size, "run")}: predicted ${duration(p.predicted_seconds)}, took ${duration(p.seconds)}`,
    })),
    words: duration,
    xName: "predicted",
    yName: "taken",
  });

const batchSizes = (stats) =>
  barChart({
    title: "Batches by size",
    stacked: true,
    rows: Object.entries(stats.batch_sizes).map(([n, batches]) => ({
      label: `batches of ${n}`,
      tick: n,
      values: [batches],
    })),
    series: [{ name: "batches", tone: "accent" }],
    words: (n) => n.toLocaleString("en"),
  });
