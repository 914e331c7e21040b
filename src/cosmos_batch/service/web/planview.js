// What runs would cost, asked of the server while they are being written.

import { api } from "./api.js";
import { el, fill } from "./dom.js";
import { clean, count, duration, percent, size } from "./format.js";

const PAUSE = 350; // ms without a change before the server is asked

/** A live preview: `show(bodies)` plans them and paints the answer into `element`. */
export function planView() {
  const element = el("div", { class: "plan-body", "aria-live": "polite" });
  let timer = 0;
  let asked = null;
  const ask = async (bodies) => {
    asked?.abort();
    asked = new AbortController();
    try {
      paint(element, await api.plan(bodies, { signal: asked.signal }));
    } catch (error) {
      if (error.name !== "AbortError") paintProblem(element, error);
    }
  };
  const show = (bodies) => {
    clearTimeout(timer);
    if (!bodies.length) {
      asked?.abort();
      return fill(
        element,
        el("p", { class: "soft" }, "Choose a video, and what the run will take shows here before you ask for it."),
      );
    }
    timer = setTimeout(() => ask(bodies), PAUSE);
  };
  return { element, show };
}

function paint(element, plan) {
  const saved = plan.one_by_one_seconds - plan.seconds;
  const margin = Number.isFinite(plan.error) ? `, give or take ${percent(plan.error)}` : "";
  fill(
    element,
    el("p", { class: "big-number num" }, duration(plan.seconds), el("small", { class: "soft" }, margin)),
    el(
      "dl",
      { class: "facts" },
      fact("Makes", `${count(plan.runs, "video")} in ${count(plan.batches, "batch")}`),
      fact("Starts", plan.starts_in_seconds > 1 ? `within ${duration(plan.starts_in_seconds)}` : "at once"),
      Number.isFinite(plan.bytes) && plan.bytes > 0 ? fact("GPU memory", size(plan.bytes)) : null,
      saved / plan.one_by_one_seconds >= 0.005
        ? fact("Saves", `${duration(saved)} against one by one (${percent(saved / plan.one_by_one_seconds)})`)
        : null,
    ),
    el(
      "details",
      { data: { key: "launches" } },
      el("summary", {}, "How it would be batched"),
      plan.launches.map((launch) =>
        el(
          "div",
          { class: "launch" },
          el("p", {}, el("b", {}, launch.controls.join(" + ") || "no control"), ` ${clean(launch.reason)}`),
          el(
            "ul",
            {},
            launch.batches.map((batch) =>
              el(
                "li",
                { class: "num" },
                `${count(batch.runs.length, "run")}, ${batch.width}×${batch.height}, ${count(batch.frames, "frame")}: ${duration(batch.seconds)}`,
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

const fact = (name, value) => [el("dt", {}, name), el("dd", { class: "num" }, value)];

function paintProblem(element, error) {
  const lines = error.problems?.length
    ? error.problems.map((p) => `${p.field}: ${p.message}. ${p.remedy}`)
    : [error.message];
  fill(
    element,
    el("p", { class: "soft" }, "This cannot be planned yet."),
    el(
      "ul",
      { class: "problems" },
      lines.map((line) => el("li", {}, clean(line))),
    ),
  );
}
