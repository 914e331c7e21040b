// A new run: videos, prompt, weights of controls, settings, and the predicted cost before it is submitted.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { ApiError, api, token } from "../lib/api.js";
import { count } from "../lib/format.js";
import { server } from "../lib/server.js";
import { inputOf, messageOf, paint } from "../lib/view.js";
import { Chooser, KINDS } from "../parts/chooser.js";
import { ControlField } from "../parts/control_field.js";
import { toast } from "../parts/dialogs.js";
import { field, problemList } from "../parts/form_parts.js";
import { itemsOf } from "../parts/items.js";
import { PlanPreview } from "../parts/plan_preview.js";
import { weightsOf } from "../parts/run_parts.js";

/** @import { FieldProblem, SettingInfo, Video, VideoRequest } from "../lib/schema.js" */

/** A setting in the form: its label, and a hint. @typedef {[name: string, label: string, hint?: string]} Setting */

/** @type {Setting[]} */
const MAIN = [
  ["seed", "Seed", "the same seed gives the same video"],
  ["num_steps", "Steps", "more take longer"],
  ["guidance", "Guidance", "how closely the prompt is followed"],
];
/** @type {Setting[]} */
const MORE = [
  ["num_frames", "Frames", "empty: as many as the input"],
  ["fps", "Frames per second", "of the output"],
  ["sigma_max", "Sigma", "noise at the start"],
  ["num_conditional_frames", "Frames that chunks share", "of a long video: 0, 1 or 2"],
  ["resolution", "Resolution", "a height such as 480p, or WIDTHxHEIGHT"],
  ["keep_input_resolution", "Output size", "of the finished video"],
  ["canny_threshold", "Edge threshold"],
  ["blur_strength", "Blur of vis"],
];
/** Settings of guided generation. @type {Setting[]} */
const GUIDED = [
  ["guided_generation_step_threshold", "Last guided step", "counted from 0; empty: 25"],
  ["guided_generation_foreground_labels", "Foreground labels", "of an .npz mask: 1, 2; empty: all"],
];
const MASK = "guided_generation_mask";
const NORMAL = "medium"; // preset
const SPAN = /^(.*)#frames=(\d+)\+(\d*)$/s; // a part of a video, behind its name
/** The choices of a setting that is true or false, by its name. @type {Record<string, [string, string][]>} */
const SWITCHES = {
  keep_input_resolution: [
    ["", "as the model does"],
    ["true", "as the input"],
    ["false", "as the resolution"],
  ],
};

/** @type {import("../lib/view.js").View} */
export async function view(root, { query }, signal) {
  const form = new RunForm(root, signal);
  form.changed();
  const from = query.get("from");
  if (from) await form.fill(await api.video(from, { signal }));
}

class RunForm {
  /**
   * @param {HTMLElement} root
   * @param {AbortSignal} signal
   */
  constructor(root, signal) {
    this.root = root;
    this.signal = signal;
    const changed = () => this.changed();
    this.videos = new Chooser({ many: true, label: "input videos", changed });
    /** The text of each field, by name: "prompt", "id", "priority", "negative_prompt", and the settings. */
    this.texts = new Map([["priority", "normal"]]);
    this.mask = new Chooser({ many: false, label: "mask of guided generation", kinds: `${KINDS},.npz`, changed });
    this.controls = server().control_infos.map((info) => new ControlField(info, changed));
    this.preview = new PlanPreview(() => this.draw(), signal);
    /** @type {FieldProblem[] | string} */
    this.problems = [];
    this.sending = false;
    /** @type {Map<string, string>} */
    this.keys = new Map(); // an idempotency key by body, so that a repeated submission makes no second run
  }

  /**
   * Take over the request of another run.
   * @param {Video} video
   */
  async fill(video) {
    const source = video.inputs.video ?? null;
    const [, file = source, start = "", frames = ""] = SPAN.exec(source ?? "") ?? [];
    const items = await itemsOf({ ...video.inputs, video: file }, this.signal);
    this.texts.set("prompt", video.prompt);
    for (const [name, value] of Object.entries(video.execution_config))
      if (Array.isArray(value)) this.texts.set(name, value.join(", "));
      else if (value !== null && typeof value !== "object") this.texts.set(name, String(value));
    for (const control of this.controls) {
      control.weight = String(weightsOf(video)[control.name] ?? 0);
      const own = items.get(control.name);
      if (own) control.chooser.add(own);
    }
    const [mask, shown] = [items.get(MASK), items.get("video")];
    if (mask) this.mask.add(mask);
    this.texts.set("span_start", start).set("span_frames", frames);
    if (shown) this.videos.add(shown);
    this.changed();
  }

  /** @param {string} name */
  text(name) {
    return this.texts.get(name) ?? "";
  }

  /** The settings that are given, as the API takes them. */
  config() {
    const used = this.controls.filter((control) => control.used);
    const presets = new Set(used.map((control) => control.preset));
    /** @type {Record<string, unknown>} */
    const config = { weights: Object.fromEntries(used.map((control) => [control.name, Number(control.weight)])) };
    for (const [name, info] of Object.entries(server().settings)) {
      if (GUIDED.some(([guided]) => guided === name) && !this.mask.chosen.length) continue;
      const text = this.text(name).trim();
      if (info.choices) {
        if (presets.has(name)) config[name] = text || NORMAL;
      } else if (text) config[name] = valueOf(text, info);
    }
    return config;
  }

  /**
   * The bodies of the requests: one for each input video.
   * @returns {VideoRequest[]}
   */
  bodies() {
    /** @type {Record<string, string>} */
    const own = {};
    for (const control of this.controls) if (control.used && control.own) own[control.name] = control.own;
    const [mask] = this.mask.chosen;
    const without = Object.keys(own).length ? [null] : []; // each used control may bring its own video
    const videos = this.videos.chosen.length ? this.videos.chosen : without;
    const name = this.text("id").trim();
    return videos.map((video, n) => ({
      prompt: this.text("prompt").trim(),
      ...(name ? { id: videos.length > 1 ? `${name}-${n + 1}` : name } : {}),
      inputs: { ...(video ? { video: video.ref + this.span() } : {}), ...own, ...(mask ? { [MASK]: mask.ref } : {}) },
      execution_config: this.config(),
      priority: this.text("priority"),
    }));
  }

  /** The part of the input videos that is used, as it stands behind their names. */
  span() {
    const [start, frames] = [this.text("span_start").trim(), this.text("span_frames").trim()];
    return start || frames ? `#frames=${start || 0}+${frames}` : "";
  }

  get busy() {
    return this.videos.busy || this.mask.busy || this.controls.some((control) => control.chooser.busy);
  }

  /** Show the form after a change, and plan its runs. */
  changed() {
    if (this.signal.aborted) return;
    this.problems = [];
    this.preview.update(this.bodies().map((body) => ({ ...body, prompt: body.prompt || "preview" })));
    this.draw();
  }

  async submit() {
    const bodies = this.bodies();
    if (!bodies.length) {
      this.refuse("Choose an input video first.");
      return;
    }
    this.sending = true;
    this.draw();
    try {
      const made = [];
      for (const body of bodies) made.push(await this.submitOne(body));
      toast(made.length === 1 ? "Queued." : `${count(made.length, "run")} queued.`);
      location.hash = made.length === 1 ? `#/run/${encodeURIComponent(made[0]?.id ?? "")}` : "#/queue";
    } catch (error) {
      this.refuse(error instanceof ApiError && error.problems.length ? error.problems : messageOf(error));
    } finally {
      this.sending = false;
      this.draw();
    }
  }

  /** @param {VideoRequest} body */
  submitOne(body) {
    const text = JSON.stringify(body);
    const key = this.keys.get(text) ?? token();
    this.keys.set(text, key);
    return api.submit(body, key);
  }

  /** @param {FieldProblem[] | string} problems */
  refuse(problems) {
    this.problems = problems;
    this.draw();
    this.root.querySelector(".problems[role]")?.scrollIntoView({ block: "nearest" });
  }

  draw() {
    if (this.signal.aborted) return;
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.submit();
    };
    const runs = Math.max(1, this.bodies().length);
    const label = runs > 1 ? `Queue ${count(runs, "run")}` : "Queue this run";
    paint(
      this.root,
      html`<h1>New run</h1>
        <form class="submit" @submit=${submit}>
          <div class="stack">
            <section class="card">
              <h2>Input</h2>
              ${this.videos.template()} ${this.spanFields()}
              ${this.area("prompt", "Prompt", 4, "What the video should look like", true)}
            </section>
            <section class="card">
              <h2>Controls</h2>
              <p class="soft">The weight of each control. At 0 it is not used and costs nothing.</p>
              ${this.controls.map((control) => control.template())}
            </section>
            ${this.settings()}
          </div>
          <aside class="card plan">
            <h2>Plan</h2>
            ${this.preview.template()}
            <div class="problems" role="alert">${problemList(this.problems)}</div>
            <button type="submit" class="primary big" ?disabled=${this.busy || this.sending}>
              ${this.busy ? "Uploading…" : label}
            </button>
          </aside>
        </form>`,
    );
  }

  spanFields() {
    const whole = (/** @type {string} */ name, /** @type {number} */ minimum, /** @type {string} */ placeholder) =>
      this.input(name, { type: "integer", minimum, placeholder });
    return html`<details>
      <summary>${this.span() ? "A part of the video" : "Use a part of the video"}</summary>
      <div class="fields">
        ${field("span_start", "First frame", "counted from 0", whole("span_start", 0, "0"))}
        ${field("span_frames", "Frames of it", "empty: to the end", whole("span_frames", 1, "to the end"))}
      </div>
    </details>`;
  }

  settings() {
    const known = server().settings;
    const fields = (/** @type {Setting[]} */ settings) =>
      settings.map(([name, label, hint]) => (known[name] ? this.setting(name, known[name], label, hint) : nothing));
    const negative = String(server().defaults.negative_prompt ?? "");
    return html`<section class="card">
      <h2>Settings</h2>
      <div class="fields">${fields(MAIN)}${this.priority()}</div>
      ${GUIDED.some(([name]) => known[name]) ? this.guided(fields(GUIDED)) : nothing}
      <details>
        <summary>More settings</summary>
        <div class="fields">
          ${fields(MORE)}
          ${field(
            "id",
            "Name",
            "of the run and its files",
            this.input("id", { pattern: server().id_pattern, placeholder: "chosen by the server" }),
          )}
        </div>
        ${this.area("negative_prompt", "Negative prompt", 2, negative, false)}
      </details>
    </section>`;
  }

  /** @param {unknown} fields */
  guided(fields) {
    const [mask] = this.mask.chosen;
    return html`<details>
      <summary>${mask ? `Guided by ${mask.name}` : "Guided generation"}</summary>
      <p class="soft">Where a mask is white, the first steps see the input, and the output keeps its shapes.</p>
      ${this.mask.template()}
      <div class="fields">${fields}</div>
    </details>`;
  }

  /**
   * @param {string} name
   * @param {SettingInfo} info
   * @param {string} label
   * @param {string} [hint]
   */
  setting(name, info, label, hint) {
    if (info.choices) {
      const options = info.choices.map((value) => /** @type {[string, string]} */ ([value, value.replace("_", " ")]));
      return field(name, label, hint, this.select(name, options, this.text(name) || NORMAL));
    }
    const choices = SWITCHES[name];
    if (choices) return field(name, label, hint, this.select(name, choices, this.text(name)));
    const placeholder = String(server().defaults[name] ?? (name === "resolution" ? "as the input" : ""));
    return field(name, label, hint, this.input(name, { ...info, placeholder }));
  }

  priority() {
    const options = Object.keys(server().priorities).map(
      (name) => /** @type {[string, string]} */ ([name, name === "urgent" ? "urgent: overtakes running runs" : name]),
    );
    return field("priority", "Priority", "", this.select("priority", options, this.text("priority")));
  }

  /** @param {string} name */
  set(name) {
    return (/** @type {Event} */ event) => {
      this.texts.set(name, inputOf(event).value);
      this.changed();
    };
  }

  /**
   * An input of one line. A pattern is checked by the page: as an attribute, browsers read it by other rules.
   * @param {string} name
   * @param {Partial<SettingInfo> & { placeholder: string }} info
   */
  input(name, { type = "string", minimum, exclusive_minimum: above, maximum, pattern, placeholder }) {
    const number = type !== "string" && type !== "array";
    const set = this.set(name);
    const change = (/** @type {Event} */ event) => {
      const { value } = inputOf(event);
      const fits = !pattern || !value || new RegExp(pattern).test(value.trim());
      inputOf(event).setCustomValidity(fits ? "" : "This text has a wrong form.");
      set(event);
    };
    return html`<input
      id="field-${name}"
      type=${number ? "number" : "text"}
      inputmode=${number ? "decimal" : "text"}
      autocomplete="off"
      min=${minimum ?? above ?? nothing}
      max=${maximum ?? nothing}
      step=${number ? (type === "integer" ? "1" : "any") : nothing}
      placeholder=${placeholder}
      aria-describedby="hint-${name}"
      .value=${live(this.text(name))}
      @input=${change}
    />`;
  }

  /**
   * @param {string} name
   * @param {[string, string][]} options
   * @param {string} chosen
   */
  select(name, options, chosen) {
    return html`<select id="field-${name}" aria-describedby="hint-${name}" @change=${this.set(name)}>
      ${options.map(
        ([value, label]) => html`<option value=${value} .selected=${live(value === chosen)}>${label}</option>`,
      )}
    </select>`;
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {number} rows
   * @param {string} placeholder
   * @param {boolean} required
   */
  area(name, label, rows, placeholder, required) {
    const area = html`<textarea
      id="field-${name}"
      rows=${rows}
      placeholder=${placeholder}
      ?required=${required}
      .value=${live(this.text(name))}
      @input=${this.set(name)}
    ></textarea>`;
    return field(name, label, "", area);
  }
}

/**
 * The text of a setting as the API takes it.
 * @param {string} text
 * @param {SettingInfo} info
 */
function valueOf(text, { type }) {
  if (type === "boolean") return text === "true";
  if (type === "array") return text.split(/[\s,]+/).filter(Boolean).map(Number);
  return type === "string" ? text : Number(text);
}
