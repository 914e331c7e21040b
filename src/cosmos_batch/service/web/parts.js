// Pieces that several views show: badges, bars, stars, and what can be done to a run.

import { api } from "./api.js";
import { button, confirmed, el, toast } from "./dom.js";
import { clean, duration, isOpen, priorityWord, stateWord } from "./format.js";

const MARKS = {
  succeeded: "✓",
  failed: "!",
  blocked: "⊘",
  cancelled: "×",
  running: "▸",
  leased: "▸",
  preempted: "‖",
  paused: "‖",
};

/** A run's state, as a word with a mark (never by colour alone). */
export function badge(state) {
  return el(
    "span",
    { class: `badge ${state}` },
    el("span", { "aria-hidden": "true" }, MARKS[state] ?? "·"),
    stateWord(state),
  );
}

/** What a person wrote, shown as it is. */
export const words = (text, props = {}, tag = "span") =>
  el(tag, { ...props, class: `words ${props.class ?? ""}` }, clean(text));

/** A link to a run's page with its prompt as the text. */
export const runLink = (id, text, props = {}) =>
  words(text, { href: `#/run/${encodeURIComponent(id)}`, ...props }, "a");

/** A progress bar of `step` in `steps`, read out as `label`. */
export function bar(step, steps, label) {
  const node = el(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-label": label },
    el("i"),
  );
  setBar(node, step, steps);
  return node;
}

/** Move a bar to `step` in `steps`. */
export function setBar(node, step, steps) {
  const [at, all] = [step ?? 0, steps || 1];
  node.setAttribute("aria-valuenow", String(at));
  node.setAttribute("aria-valuemax", String(all));
  node.firstChild.style.width = `${Math.min(100, (100 * at) / all)}%`;
}

/** Small labels for a run's controls with their weights. */
export function chips(weights) {
  const active = Object.entries(weights ?? {})
    .filter(([, weight]) => weight > 0)
    .sort();
  return el(
    "span",
    { class: "chips" },
    active.map(([name, weight]) => el("span", { class: "chip" }, name, el("b", {}, String(weight)))),
  );
}

/** The mark of a priority, or nothing for the normal one. */
export function priorityChip(priority) {
  const word = priorityWord(priority ?? 0);
  return word === "normal"
    ? null
    : el("span", { class: `chip priority ${word}`, title: `priority ${priority}` }, word);
}

/** How far a run is, in words. */
export const stepWords = ({ step, steps, eta_seconds: eta }) =>
  (steps ? `step ${step ?? 0} of ${steps}` : "starting") +
  (Number.isFinite(eta) ? ` · ${duration(eta)} left` : "");

/** Stars that can be set: a radio group of 1 to 5, and a way back to none. `save(rating)` is told. */
export function stars(id, rating, save) {
  const group = el("fieldset", { class: "stars" }, el("legend", { class: "unseen" }, "Rating"));
  const paint = (value) => {
    rating = value;
    for (const label of group.querySelectorAll("label"))
      label.classList.toggle("lit", Number(label.dataset.n) <= (value ?? 0));
    for (const input of group.querySelectorAll("input")) input.checked = Number(input.value) === value;
    clear.hidden = !value;
  };
  const choose = async (value) => {
    const before = rating;
    paint(value);
    try {
      await save(value);
    } catch (error) {
      paint(before);
      toast(error.message, "bad");
    }
  };
  const clear = el("button", { type: "button", class: "plain tiny", on: { click: () => choose(null) } }, "clear");
  for (const n of [1, 2, 3, 4, 5]) {
    const input = el("input", {
      type: "radio",
      name: `stars-${id}`,
      value: String(n),
      class: "unseen",
      "aria-label": `${n} of 5`,
      on: { change: () => choose(n) },
    });
    group.append(el("label", { data: { n: String(n) } }, input, el("span", { "aria-hidden": "true" }, "★")));
  }
  group.append(clear);
  paint(rating ?? null);
  return group;
}

/** Stars to look at. */
export const starsShown = (rating) =>
  rating
    ? el("span", { class: "stars-shown", role: "img", "aria-label": `rated ${rating} of 5` }, "★".repeat(rating))
    : null;

/** The buttons for what a run in this state allows. `done(verb)` is told after each. */
export function actions(video, done, { small = false } = {}) {
  const kind = small ? "small" : "";
  const act = (verb, label, what, extra = "") =>
    button(
      label,
      async () => {
        await what(video.id);
        done(verb);
      },
      {
        kind: `${kind} ${extra}`,
        key: `${verb}-${video.id}`,
        title: `${label}: ${clean(video.prompt).slice(0, 60)}`,
      },
    );
  const open = isOpen(video.state);
  return [
    open &&
      !video.cancelling &&
      (video.priority ?? 0) < 100 &&
      act("urgent", "Make urgent", (id) => api.prioritise(id, "urgent")),
    open && !video.cancelling && act("cancel", "Cancel", api.cancel),
    !open && video.state !== "succeeded" && act("retry", "Retry", api.retry, "primary"),
  ].filter(Boolean);
}

/** Delete runs once the person has confirmed it. Returns the ids that are gone. */
export async function removeRuns(videos) {
  const what = videos.length === 1 ? "this run and its video" : `${videos.length} runs and their videos`;
  if (!(await confirmed(`Delete ${what}?`, "The input videos stay. This cannot be undone.", "Delete"))) return [];
  const gone = [];
  for (const { id } of videos) {
    try {
      await api.remove(id);
      gone.push(id);
    } catch (error) {
      toast(error.message, "bad");
    }
  }
  if (gone.length) toast(gone.length === 1 ? "Deleted." : `${gone.length} runs deleted.`);
  return gone;
}
