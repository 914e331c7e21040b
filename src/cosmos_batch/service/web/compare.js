// Two runs against each other: side by side or under a wipe, in step, with what was asked differently.

import { api } from "./api.js";
import { el, fill } from "./dom.js";
import { clean, settingWord } from "./format.js";
import { runLink, stars } from "./parts.js";
import { syncPlayer } from "./player.js";

export async function show(root, { query, signal }) {
  const [a, b] = await Promise.all(["a", "b"].map((name) => api.video(query.get(name) ?? "", { signal })));
  if (signal.aborted) return;
  const place = el("div");
  let player = null;
  const lay = (wipe) => {
    player?.destroy();
    player = syncPlayer([track("A", a, true), track("B", b, false)], { wipe });
    fill(place, player.element);
  };
  signal.addEventListener("abort", () => player?.destroy());
  root.append(
    el("a", { href: "#/runs", class: "back" }, "← Runs"),
    el("h1", {}, "Compare"),
    layouts(lay),
    place,
    el("div", { class: "columns" }, head("A", a), head("B", b)),
    el("h2", {}, "What was asked differently"),
    differences(a, b),
  );
  lay(false);
}

const track = (label, video, master) => ({ label, note: video.size, src: api.content(video.id, "video"), master });

function layouts(lay) {
  const choice = (value, text, checked) =>
    el(
      "label",
      {},
      el("input", { type: "radio", name: "layout", class: "unseen", checked, on: { change: () => lay(value) } }),
      el("span", {}, text),
    );
  return el(
    "fieldset",
    { class: "switch" },
    el("legend", { class: "unseen" }, "Layout"),
    choice(false, "Side by side", true),
    choice(true, "Wipe", false),
  );
}

const head = (letter, video) =>
  el(
    "div",
    { class: "card" },
    el("h3", {}, letter),
    runLink(video.id, video.prompt, { class: "two-lines" }),
    stars(video.id, video.rating, (n) => api.rate(video.id, n)),
  );

function differences(a, b) {
  const [left, right] = [a, b].map(askedFor);
  const rows = [...new Set([...Object.keys(left), ...Object.keys(right)])].filter(
    (name) => left[name] !== right[name],
  );
  if (!rows.length)
    return el("p", { class: "soft" }, "Nothing: both were asked for in the same words and settings.");
  const cell = (text) => el("td", { class: "words" }, text === undefined ? "none" : clean(text));
  return el(
    "div",
    { class: "card scroll" },
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["", "A", "B"].map((text) => el("th", { scope: "col" }, text)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((name) => el("tr", {}, el("th", { scope: "row" }, name), cell(left[name]), cell(right[name]))),
      ),
    ),
  );
}

/** A run's request as flat names and texts. */
function askedFor(video) {
  const { weights = {}, ...config } = video.execution_config ?? {};
  const flat = { prompt: video.prompt, size: video.size };
  for (const [name, ref] of Object.entries(video.inputs ?? {}))
    flat[name === "video" ? "input" : `${name} video`] = String(ref);
  for (const [name, weight] of Object.entries(weights)) if (weight > 0) flat[`weight of ${name}`] = String(weight);
  for (const [name, value] of Object.entries(config))
    if (value !== null && typeof value !== "object") flat[settingWord(name)] = String(value);
  return flat;
}
