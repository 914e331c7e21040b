// Two runs, side by side or under a wipe, in step, with their different settings.

import { html } from "../vendor/lit-html/lit-html.js";
import { api, contentUrl } from "../lib/api.js";
import { clean, settingLabel } from "../lib/format.js";
import { paint } from "../lib/view.js";
import { nameOf } from "../list/run_card.js";
import { Player } from "../parts/player.js";
import { isPicture, rateRun, runLink, settingsOf, stars, weightsOf } from "../parts/run_parts.js";

/** @import { Video } from "../lib/schema.js" */
/** @import { Track } from "../parts/player.js" */

/** @type {import("../lib/view.js").View} */
export async function view(root, { query }, signal) {
  const [a, b] = await Promise.all([
    api.video(query.get("a") ?? "", { signal }),
    api.video(query.get("b") ?? "", { signal }),
  ]);
  if (signal.aborted) return;
  const tracks = [trackOf("A", a, !isPicture(a)), trackOf("B", b, isPicture(a))];
  const picture = isPicture(a) && isPicture(b);
  let player = new Player(tracks, { picture });
  const draw = () => {
    paint(
      root,
      html`<a href="#/runs" class="back">← Runs</a>
        <h1>Compare</h1>
        ${layouts(setWipe)}
        <div>${player.element}</div>
        <div class="columns">${head("A", a, draw)}${head("B", b, draw)}</div>
        <h2>Different settings</h2>
        ${differences(a, b)}`,
    );
  };
  const setWipe = (/** @type {boolean} */ wipe) => {
    player.destroy();
    player = new Player(tracks, { wipe, picture });
    draw();
  };
  signal.addEventListener("abort", () => player.destroy());
  draw();
}

/**
 * @param {string} label
 * @param {Video} video
 * @param {boolean} master
 * @returns {Track}
 */
const trackOf = (label, video, master) => ({ label, note: video.size, src: contentUrl(video.id, "video"), master });

/** @param {(wipe: boolean) => void} setWipe */
function layouts(setWipe) {
  const choice = (/** @type {boolean} */ wipe, /** @type {string} */ text) => html`<label
    ><input
      type="radio"
      name="layout"
      class="unseen"
      ?checked=${!wipe}
      @change=${() => setWipe(wipe)}
    /><span>${text}</span></label
  >`;
  return html`<fieldset class="switch">
    <legend class="unseen">Layout</legend>
    ${choice(false, "Side by side")}${choice(true, "Wipe")}
  </fieldset>`;
}

/**
 * @param {string} letter
 * @param {Video} video
 * @param {() => void} repaint
 */
const head = (letter, video, repaint) => html`<div class="card">
  <h3>${letter}</h3>
  <p class="soft words">${nameOf(video)}</p>
  ${runLink(video.id, video.prompt, "two-lines")}${stars(video, (rating) => rateRun(video, rating, repaint))}
</div>`;

/**
 * @param {Video} a
 * @param {Video} b
 */
function differences(a, b) {
  const [left, right] = [flatRequest(a), flatRequest(b)];
  const names = [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name));
  if (!names.length) return html`<p class="soft">None: prompt and settings of both are equal.</p>`;
  const cell = (/** @type {string | undefined} */ text) =>
    html`<td class="words">${text === undefined ? "none" : clean(text)}</td>`;
  return html`<div class="card scroll">
    <table>
      <thead>
        <tr>${["", "A", "B"].map((text) => html`<th scope="col">${text}</th>`)}</tr>
      </thead>
      <tbody>
        ${names.map(
          (name) => html`<tr><th scope="row">${name}</th>${cell(left.get(name))}${cell(right.get(name))}</tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/**
 * A run's request as texts by label.
 * @param {Video} video
 */
function flatRequest(video) {
  const flat = new Map([
    ["prompt", video.prompt],
    ["size", video.size],
  ]);
  for (const [name, file] of Object.entries(video.names))
    flat.set(name === "video" ? "input" : `${name} video`, file);
  for (const [name, weight] of Object.entries(weightsOf(video)))
    if (weight > 0) flat.set(`weight of ${name}`, String(weight));
  for (const [name, value] of settingsOf(video)) flat.set(settingLabel(name), value);
  return flat;
}
