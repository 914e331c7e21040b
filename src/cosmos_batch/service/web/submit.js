// A new run: videos, prompt, how much each control counts, and what it will cost before it is asked for.

import { api, token } from "./api.js";
import { el, field, fill, select, toast } from "./dom.js";
import { clean, count } from "./format.js";
import { chooser, itemOf } from "./picker.js";
import { planView } from "./planview.js";

const ABOUT = {
  edge: "outlines of the input",
  vis: "a blurred look of the input",
  depth: "how far things are",
  seg: "which things are where",
};
const STRENGTHS = ["very_low", "low", "medium", "high", "very_high"].map((v) => [v, v.replace("_", " ")]);
const NUMBERS = [
  ["seed", "Seed", { min: 0, step: 1 }, "the same seed gives the same video"],
  ["num_steps", "Steps", { min: 1, max: 1000, step: 1 }, "more take longer"],
  ["guidance", "Guidance", { min: 0, max: 50, step: 0.5 }, "how closely the prompt is followed"],
];
const MORE = [
  ["num_frames", "Frames", { min: 1, max: 5000, step: 1 }, "empty: as many as the input"],
  ["fps", "Frames per second", { min: 1, max: 240, step: "any" }, "of the output"],
  ["sigma_max", "Sigma", { min: 0.1, max: 1000, step: "any" }, "noise at the start"],
];

export async function show(root, { query, signal }) {
  const server = await api.server({ signal });
  const form = new RunForm(server);
  root.append(el("h1", {}, "New run"), form.element);
  const from = query.get("from");
  if (from) form.take(await api.video(from, { signal }));
}

class RunForm {
  constructor(server) {
    this.server = server;
    this.keys = new Map(); // one idempotency key per body, so that a second click after a lost answer makes no second run
    const changed = () => this.changed();
    this.videos = chooser({ many: true, label: "input videos", changed });
    this.prompt = el("textarea", { rows: 4, required: true, placeholder: "What the video should look like" });
    this.controls = new Map(server.controls.map((name) => [name, controlRow(name, changed)]));
    this.settings = new Map(
      [...NUMBERS, ...MORE].map(([name, , limits]) => [name, numberInput(limits, server.defaults?.[name])]),
    );
    this.texts = new Map([
      [
        "resolution",
        el("input", {
          placeholder: server.defaults?.resolution ?? "as the input",
          pattern: "[0-9]+p?|[0-9]+x[0-9]+",
        }),
      ],
      ["negative_prompt", el("textarea", { rows: 2, placeholder: server.defaults?.negative_prompt ?? "" })],
    ]);
    this.strengths = new Map([
      ["canny_threshold", select(STRENGTHS, "medium")],
      ["blur_strength", select(STRENGTHS, "medium")],
    ]);
    this.name = el("input", {
      pattern: "[A-Za-z0-9_][A-Za-z0-9._\\-]{0,127}",
      autocomplete: "off",
      placeholder: "chosen by the server",
    });
    this.priority = select(
      [
        ["low", "low"],
        ["normal", "normal"],
        ["high", "high"],
        ["urgent", "urgent: overtakes what runs"],
      ],
      "normal",
    );
    this.problems = el("div", { class: "problems", role: "alert" });
    this.plan = planView();
    this.send = el("button", { type: "submit", class: "primary big" }, "Queue");
    this.element = this.build();
    this.element.addEventListener("input", changed);
    this.element.addEventListener("submit", (event) => (event.preventDefault(), this.submit()));
    this.changed();
  }

  build() {
    const numbers = (rows) => rows.map(([name, label, , hint]) => field(label, this.settings.get(name), hint));
    return el(
      "form",
      { class: "submit", noValidate: false },
      el(
        "div",
        { class: "stack" },
        el("section", { class: "card" }, el("h2", {}, "Input"), this.videos.element, field("Prompt", this.prompt)),
        el(
          "section",
          { class: "card" },
          el("h2", {}, "Controls"),
          el("p", { class: "soft" }, "How much each one counts. At 0 it is not used and costs nothing."),
          [...this.controls.values()].map((row) => row.element),
        ),
        el(
          "section",
          { class: "card" },
          el("h2", {}, "Settings"),
          el("div", { class: "fields" }, numbers(NUMBERS), field("Priority", this.priority)),
          el(
            "details",
            {},
            el("summary", {}, "More settings"),
            el(
              "div",
              { class: "fields" },
              numbers(MORE),
              field("Resolution", this.texts.get("resolution"), "a height such as 480p, or WIDTHxHEIGHT"),
              field("Edge threshold", this.strengths.get("canny_threshold")),
              field("Blur of vis", this.strengths.get("blur_strength")),
              field("Name", this.name, "of the run and its files"),
            ),
            field("Negative prompt", this.texts.get("negative_prompt")),
          ),
        ),
      ),
      el("aside", { class: "card plan" }, el("h2", {}, "Plan"), this.plan.element, this.problems, this.send),
    );
  }

  /** Fill in what another run was asked for. */
  take(video) {
    const config = video.execution_config ?? {};
    this.prompt.value = video.prompt;
    if (video.inputs?.video) this.videos.add(itemOf(video.inputs.video));
    for (const [name, row] of this.controls) row.set(config.weights?.[name] ?? 0, video.inputs?.[name]);
    for (const [name, input] of [...this.settings, ...this.texts, ...this.strengths])
      if (config[name] !== undefined && config[name] !== null) input.value = String(config[name]);
    this.changed();
  }

  config() {
    const weights = Object.fromEntries(
      [...this.controls].filter(([, row]) => row.weight > 0).map(([name, row]) => [name, row.weight]),
    );
    const given = (entries, read) =>
      Object.fromEntries(
        entries.filter(([, input]) => input.value.trim() !== "").map(([name, input]) => [name, read(input)]),
      );
    const strengths = [
      ["canny_threshold", "edge"],
      ["blur_strength", "vis"],
    ].filter(([, control]) => weights[control]);
    return {
      weights,
      ...given([...this.settings], (i) => Number(i.value)),
      ...given([...this.texts], (i) => i.value.trim()),
      ...Object.fromEntries(strengths.map(([name]) => [name, this.strengths.get(name).value])),
    };
  }

  /** The bodies of what would be submitted: a run for each input video. */
  bodies() {
    const own = Object.fromEntries(
      [...this.controls].filter(([, row]) => row.weight > 0 && row.own).map(([name, row]) => [name, row.own]),
    );
    const videos = this.videos.chosen.length ? this.videos.chosen : Object.keys(own).length ? [null] : [];
    const name = this.name.value.trim();
    return videos.map((video, n) => ({
      prompt: this.prompt.value.trim(),
      ...(name ? { id: videos.length > 1 ? `${name}-${n + 1}` : name } : {}),
      inputs: { ...(video ? { video: video.ref } : {}), ...own },
      execution_config: this.config(),
      priority: this.priority.value,
    }));
  }

  get busy() {
    return this.videos.busy || [...this.controls.values()].some((row) => row.busy);
  }

  changed() {
    const bodies = this.bodies();
    this.send.disabled = this.busy;
    this.send.textContent = this.busy
      ? "Uploading…"
      : bodies.length > 1
        ? `Queue ${count(bodies.length, "run")}`
        : "Queue this run";
    fill(this.problems);
    this.plan.show(bodies.map((body) => ({ ...body, prompt: body.prompt || "preview" })));
  }

  async submit() {
    const bodies = this.bodies();
    if (!bodies.length) return this.refuse({ message: "Choose an input video first.", problems: [] });
    this.send.disabled = true;
    try {
      const made = [];
      for (const body of bodies) made.push(await this.submitOne(body));
      toast(made.length === 1 ? "Queued." : `${made.length} runs queued.`);
      location.hash = made.length === 1 ? `#/run/${encodeURIComponent(made[0].id)}` : "#/queue";
    } catch (error) {
      this.refuse(error);
    } finally {
      this.send.disabled = false;
    }
  }

  submitOne(body) {
    const text = JSON.stringify(body);
    if (!this.keys.has(text)) this.keys.set(text, token());
    return api.submit(body, this.keys.get(text));
  }

  refuse({ message, problems }) {
    fill(
      this.problems,
      problems?.length
        ? el(
            "ul",
            {},
            problems.map((p) =>
              el(
                "li",
                {},
                el("b", {}, clean(p.field)),
                ` ${clean(p.message)}. `,
                el("span", { class: "soft" }, clean(p.remedy)),
              ),
            ),
          )
        : el("p", {}, clean(message)),
    );
    this.problems.scrollIntoView({ block: "nearest" });
  }
}

function controlRow(name, changed) {
  const slider = el("input", {
    type: "range",
    min: "0",
    max: "1",
    step: "0.05",
    value: name === "edge" ? "1" : "0",
    id: `w-${name}`,
  });
  const number = el("input", {
    type: "number",
    min: "0",
    step: "0.05",
    value: slider.value,
    class: "num weight",
    "aria-label": `weight of ${name}`,
  });
  const video = chooser({ many: false, label: `control video for ${name}`, changed });
  const own = el("details", { class: "own" }, el("summary", {}, "from the input video"), video.element);
  const paint = () => {
    row.classList.toggle("off", !(Number(number.value) > 0));
    own.firstChild.textContent = video.chosen.length ? `from ${video.chosen[0].name}` : "from the input video";
  };
  slider.addEventListener("input", () => ((number.value = slider.value), paint()));
  number.addEventListener("input", () => ((slider.value = number.value), paint()));
  const row = el(
    "div",
    { class: "control" },
    el("label", { htmlFor: slider.id }, el("b", {}, name), el("small", { class: "soft" }, ABOUT[name] ?? "")),
    slider,
    number,
    own,
  );
  row.addEventListener("input", paint);
  paint();
  return {
    element: row,
    get weight() {
      return Number(number.value) || 0;
    },
    get own() {
      return video.chosen[0]?.ref;
    },
    get busy() {
      return video.busy;
    },
    set(weight, ref) {
      slider.value = number.value = String(weight);
      if (ref) video.add(itemOf(ref));
      paint();
    },
  };
}

const numberInput = (limits, standard) =>
  el("input", {
    type: "number",
    inputMode: "decimal",
    ...Object.fromEntries(Object.entries(limits).map(([k, v]) => [k, String(v)])),
    placeholder: standard === undefined || standard === null ? "" : String(standard),
  });
