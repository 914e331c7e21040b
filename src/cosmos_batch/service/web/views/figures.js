// Throughput, time saved by batching, and predictions against measurements.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "../lib/api.js";
import { count, duration, isNumber, percent, when } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { inputOf, messageOf, paint, throttled } from "../lib/view.js";
import { barChart, scatterChart } from "../parts/charts.js";
import { comingHours } from "../parts/coming_hours.js";
import { toast } from "../parts/dialogs.js";

/** @import { Stats, ThroughputBucket } from "../lib/schema.js" */

const SPANS = [
  ["24", "the last day"],
  ["168", "the last week"],
  ["720", "the last 30 days"],
];
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 36000, 86400, 172800];

/** @type {import("../lib/view.js").View} */
export async function view(root, { query }, signal) {
  const wanted = query.get("hours") ?? "";
  let hours = SPANS.some(([value]) => value === wanted) ? wanted : "24";
  const refresh = async () => {
    const [stats, outlook] = await Promise.all([api.stats(hours, { signal }), api.outlook({ signal })]);
    if (signal.aborted) return;
    paint(
      root,
      html`<div class="row spread"><h1>Figures</h1>${spanSelect(hours, setHours)}</div>
        <section>${comingHours(outlook)}</section>
        <div class="figures">${figures(stats)}</div>`,
    );
  };
  const refreshSoon = throttled(refresh, () => 5000);
  const setHours = (/** @type {string} */ value) => {
    hours = value;
    history.replaceState(null, "", `#/figures?hours=${hours}`);
    refresh().catch((error) => signal.aborted || toast(messageOf(error), "bad"));
  };
  listen("video.state", refreshSoon, signal);
  listen("resync", refreshSoon, signal);
  await refresh();
}

/**
 * @param {string} hours
 * @param {(hours: string) => void} choose
 */
const spanSelect = (hours, choose) => html`<select
  aria-label="Time span"
  @change=${(/** @type {Event} */ event) => choose(inputOf(event).value)}
>
  ${SPANS.map(([value, label]) => html`<option value=${value} ?selected=${value === hours}>${label}</option>`)}
</select>`;

/** @param {Stats} stats */
function figures(stats) {
  const ended = stats.buckets.reduce((sum, bucket) => sum + bucket.succeeded + bucket.failed + bucket.blocked, 0);
  return [
    tiles(stats),
    ended
      ? [throughput(stats), saving(stats)]
      : html`<p class="empty card">No run has finished in this time.</p>`,
    stats.predictions.length ? predictions(stats) : nothing,
    Object.keys(stats.batch_sizes).length ? batchSizes(stats) : nothing,
  ];
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} note
 */
const tile = (name, value, note) => html`<div class="card tile">
  <p class="soft">${name}</p>
  <p class="big-number num">${value}</p>
  <p class="soft small-print">${note}</p>
</div>`;

/** @param {Stats} stats */
function tiles(stats) {
  const share = stats.alone_seconds > 0 ? stats.saved_seconds / stats.alone_seconds : 0;
  const wait = stats.wait_seconds;
  return html`<div class="tiles">
    ${tile(
      "Videos made",
      stats.succeeded.toLocaleString("en"),
      stats.succeeded ? `${duration(stats.engine_seconds / stats.succeeded)} of engine time each` : "none yet",
    )}
    ${tile(
      "Saved by batching",
      duration(Math.max(0, stats.saved_seconds)),
      `${percent(Math.max(0, share))} of the predicted time of the same runs, each in a launch of its own`,
    )}
    ${tile(
      "Prediction error",
      isNumber(stats.prediction_error) ? percent(stats.prediction_error) : "unknown",
      `median over ${count(stats.predictions.length, "batch")}`,
    )}
    ${tile(
      "Wait",
      wait ? duration(wait.p50) : "unknown",
      wait ? `median; 90 % of runs start within ${duration(wait.p90)}` : "no run has started yet",
    )}
  </div>`;
}

/**
 * Rows of a chart over time.
 * @param {Stats} stats
 * @param {(bucket: ThroughputBucket) => number[]} values
 */
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

/** @param {number} n */
const plainNumber = (n) => n.toLocaleString("en");

/** @param {Stats} stats */
const throughput = (stats) =>
  barChart({
    title: "Runs ended",
    stacked: true,
    rows: columns(stats, (bucket) => [bucket.succeeded, bucket.failed + bucket.blocked, bucket.cancelled]),
    series: [
      { name: "finished", tone: "good" },
      { name: "failed or blocked", tone: "bad" },
      { name: "cancelled", tone: "quiet" },
    ],
    text: plainNumber,
  });

/** @param {Stats} stats */
const saving = (stats) =>
  barChart({
    title: "Engine time",
    stacked: false,
    rows: columns(stats, (bucket) => [bucket.engine_seconds, bucket.alone_seconds]),
    series: [
      { name: "measured", tone: "accent" },
      { name: "predicted one by one", tone: "quiet" },
    ],
    text: duration,
    steps: TIME_STEPS,
  });

/** @param {Stats} stats */
const predictions = (stats) =>
  scatterChart({
    title: "Predicted and taken, by batch",
    points: stats.predictions.map((point) => {
      const times = `predicted ${duration(point.predicted_seconds)}, took ${duration(point.seconds)}`;
      return {
        x: point.predicted_seconds,
        y: point.seconds,
        name: `batch ${point.batch}`,
        label: `Batch ${point.batch}, ${count(point.size, "run")}: ${times}`,
      };
    }),
    text: duration,
    xName: "predicted",
    yName: "taken",
  });

/** @param {Stats} stats */
const batchSizes = (stats) =>
  barChart({
    title: "Batches by size",
    stacked: true,
    rows: Object.entries(stats.batch_sizes).map(([size, batches]) => ({
      label: `batches of ${size}`,
      tick: size,
      values: [batches],
    })),
    series: [{ name: "batches", tone: "accent" }],
    text: plainNumber,
  });
