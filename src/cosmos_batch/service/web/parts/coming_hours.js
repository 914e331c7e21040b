// The coming hours of the queue as it is, by the simulator, with the error of earlier outlooks.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { count, duration, isNumber, percent } from "../lib/format.js";
import { barChart } from "./charts.js";

/** @import { QueueOutlook } from "../lib/schema.js" */

/** @param {QueueOutlook} outlook */
export function comingHours(outlook) {
  if (!outlook.runs) return nothing;
  const { seconds, every, waiting, running } = outlook;
  const rows = waiting.map((left, point) => ({
    label: point ? `in ${duration(point * every)}` : "now",
    tick: point ? duration(point * every) : "now",
    values: [running[point] ?? 0, left],
  }));
  return html`${barChart({
      title: `Coming hours: done in about ${duration(seconds)}`,
      stacked: true,
      rows,
      series: [
        { name: "running", tone: "accent" },
        { name: "waiting", tone: "quiet" },
      ],
      text: (value) => value.toLocaleString("en"),
    })}
    <p class="soft small-print outlook">${basis(outlook)}</p>`;
}

/** @param {QueueOutlook} outlook */
function basis({ devices, runs, left_out: others, error, compared }) {
  const left = others ? `; ${count(others, "run")} more left out` : "";
  const past = isNumber(error)
    ? `Earlier outlooks were ${percent(error)} off, the median of ${count(compared, "run")}.`
    : "No run has ended yet that an earlier outlook foresaw.";
  return `Simulated: ${count(runs, "run")} on ${count(devices, "device")}, if no other run comes${left}. ${past}`;
}
