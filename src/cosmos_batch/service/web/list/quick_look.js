// A quick look at the runs of a list: the active one large and playing, the next one with a key.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { contentUrl } from "../lib/api.js";
import { clean } from "../lib/format.js";
import { selection } from "../lib/selection.js";
import { server } from "../lib/server.js";
import { paint } from "../lib/view.js";
import { openDialog } from "../parts/dialogs.js";
import { badge, causeOf, isFailure, isPicture, ratingShown } from "../parts/run_parts.js";
import { nameOf } from "./run_card.js";

/** @import { RunSource } from "./run_source.js" */
/** @import { Video } from "../lib/schema.js" */

/**
 * Show the active run until the dialog is closed. `press(event)` acts on a key of the list, `step(by)` goes to another
 * run, `open()` to the page of the active one.
 * @param {RunSource} source
 * @param {{ press: (event: KeyboardEvent) => void, step: (by: number) => void, open: () => void }} act
 * @param {(draw: () => void) => void} follow called with what draws the look anew
 */
export async function quickLook(source, act, follow) {
  const film = document.createElement("video");
  Object.assign(film, { muted: true, loop: true, autoplay: true, playsInline: true, controls: false });
  const ahead = document.createElement("video"); // loads the next one
  Object.assign(ahead, { muted: true, preload: "auto" });
  const draw = (/** @type {HTMLDialogElement} */ dialog) => {
    const id = selection.active;
    const video = source.details.get(id);
    const [, next] = selection.neighbours(id);
    source.want([id, next ?? ""].filter(Boolean));
    play(film, video);
    if (next && source.state(selection.place(next)) === "succeeded") load(ahead, contentUrl(next, "video"));
    paint(dialog, content(dialog, source, video, film, act));
  };
  const keys = (/** @type {HTMLDialogElement} */ dialog) => (/** @type {KeyboardEvent} */ event) => {
    const button = event.target instanceof Element && event.target.matches("button, a");
    if (event.key === " " && !button) {
      event.preventDefault();
      event.stopPropagation();
      dialog.close();
    } else act.press(event);
  };
  const start = (/** @type {HTMLDialogElement} */ dialog) => {
    dialog.addEventListener("keydown", keys(dialog));
    follow(() => dialog.isConnected && draw(dialog));
    draw(dialog);
  };
  await openDialog({ label: "Quick look", className: "look", draw: start });
  follow(() => {});
  for (const each of [film, ahead]) {
    each.removeAttribute("src");
    each.load();
  }
}

/**
 * @param {HTMLVideoElement} film
 * @param {Video | undefined} video
 */
function play(film, video) {
  if (video?.variants.includes("video") && !isPicture(video)) load(film, contentUrl(video.id, "video"));
  else film.removeAttribute("src");
}

/**
 * @param {HTMLVideoElement} film
 * @param {string} src
 */
function load(film, src) {
  if (film.getAttribute("src") !== src) film.setAttribute("src", src);
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {RunSource} source
 * @param {Video | undefined} video
 * @param {HTMLVideoElement} film
 * @param {{ step: (by: number) => void, open: () => void }} act
 */
function content(dialog, source, video, film, act) {
  const at = selection.place(selection.active);
  const open = () => {
    dialog.close();
    act.open();
  };
  return html`<div class="look-screen" tabindex="-1" autofocus>
      ${video ? shown(video, film) : html`<p class="soft">${clean(selection.active)}</p>`}
    </div>
    <div class="row spread look-line">
      <div class="grow">
        <p class="row tight">
          <b class="words">${video ? nameOf(video) : clean(selection.active)}</b>
          ${video ? ratingShown(video.rating) : nothing}
          ${selection.has(selection.active) ? html`<span class="chip">selected</span>` : nothing}
        </p>
        <p class="two-lines words soft">${clean(video?.prompt)}</p>
        <p class="soft small-print num">${video ? facts(video) : nothing}</p>
      </div>
      <div class="row tight">
        <span class="soft num small-print">${at + 1} of ${source.total.toLocaleString("en")}</span>
        <button type="button" class="small" aria-label="Before" @click=${() => act.step(-1)}>←</button>
        <button type="button" class="small" aria-label="Next" @click=${() => act.step(1)}>→</button>
        <button type="button" class="small primary" @click=${open}>Open</button>
        <button type="button" class="small" @click=${() => dialog.close()}>Close</button>
      </div>
    </div>`;
}

/**
 * @param {Video} video
 * @param {HTMLVideoElement} film
 */
function shown(video, film) {
  if (video.state !== "succeeded")
    return html`<div class="look-note">${badge(video.state)}<p>${isFailure(video.state) ? causeOf(video) : clean(video.reason)}</p></div>`;
  return isPicture(video) ? html`<img src=${contentUrl(video.id, "video")} alt=${clean(video.prompt).slice(0, 80)} />` : film;
}

/** @param {Video} video */
function facts(video) {
  const scores = server().scores.filter(({ name, more_is_better: more }) => more && video.scores[name] !== undefined);
  return [video.size, ...scores.map(({ name }) => `${name} ${video.scores[name]?.toFixed(2)}`), ...video.flags].join(" · ");
}
