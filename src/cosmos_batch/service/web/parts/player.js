// A player of several videos with one clock: the master plays by itself, the others follow it frame by frame.

import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { inputOf } from "../lib/view.js";
import { Clock } from "./clock.js";

/**
 * A video of the player. `master`: it sets the time.
 * @typedef {{ label: string, note: string, src: string, master?: boolean }} Track
 */

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];

export class Player {
  /**
   * @param {Track[]} tracks
   * @param {{ wipe?: boolean, picture?: boolean, split?: boolean }} [options] `wipe`: the last video lies over the first,
   *   and a slider sets how much of it shows; `split`: the first is large, the others small beside it, and it may be
   *   laid over any of them; `picture`: each is a picture or shown by its first frame, and nothing plays
   */
  constructor(tracks, { wipe = false, picture = false, split = false } = {}) {
    this.tracks = tracks;
    this.split = split;
    this.top = split ? 0 : tracks.length - 1; // the track that a wipe cuts
    /** @type {number | null} */
    this.under = wipe ? 0 : null; // the track that shows where it is cut
    this.picture = picture;
    this.wipeAt = 50; // per cent
    this.ready = false;
    /** @type {Set<string>} */
    this.failed = new Set(); // addresses of the tracks that the browser does not play
    this.element = document.createElement("div");
    this.videos = tracks.map(videoOf);
    const master = Math.max(0, tracks.findIndex((track) => track.master));
    const others = this.videos.filter((_, n) => n !== master);
    this.clock = new Clock(/** @type {HTMLVideoElement} */ (this.videos[master]), others, () => this.draw());
    for (const [n, video] of this.videos.entries()) video.addEventListener("error", () => this.fail(n), { once: true });
    this.draw();
    this.prepare();
  }

  /** Release the videos. */
  destroy() {
    this.clock.destroy();
  }

  async prepare() {
    if (!this.picture) await this.clock.prepare();
    this.ready = true;
    this.draw();
  }

  /** @param {number} n */
  fail(n) {
    const src = this.tracks[n]?.src;
    if (!src || !this.videos[n]?.hasAttribute("src")) return; // released
    this.failed.add(src);
    this.draw();
  }

  draw() {
    const keys = (/** @type {KeyboardEvent} */ event) => this.pressed(event);
    const place = (/** @type {number} */ n) => (n === this.top ? "first" : n === this.under ? "under" : "");
    const figure = (/** @type {Track} */ track, /** @type {number} */ n) => html`<figure class=${place(n)}>
      <div class="screen">${this.failed.has(track.src) ? still(track) : this.videos[n]}</div>
      <figcaption>
        <b>${track.label}</b>${track.note ? html` <span class="soft">${track.note}</span>` : nothing}
      </figcaption>
    </figure>`;
    render(
      html`<div
        class="player ${this.ready ? "ready" : ""}"
        role="group"
        aria-label=${this.picture ? "Pictures" : "Videos, played together"}
        @keydown=${keys}
      >
        <div
          class="stage ${this.under === null ? "" : "wipe"} ${this.split ? "split" : ""}"
          data-count=${this.tracks.length}
          .style=${`--wipe: ${this.wipeAt}%; --beside: ${this.tracks.length - 1}; --ratio: ${this.ratio}`}
          @pointerdown=${(/** @type {PointerEvent} */ event) => this.drag(event)}
          @pointermove=${(/** @type {PointerEvent} */ event) => this.drag(event)}
        >${this.tracks.map(figure)}</div>
        ${this.under === null ? nothing : this.wipeSlider()}
        ${this.picture ? html`<div class="extras">${this.looks()}</div>` : this.controls()}
      </div>`,
      this.element,
    );
  }

  /** The bar under the videos; inert until every video is loaded, so that all start in step. */
  controls() {
    const { clock } = this;
    const scrub = async (/** @type {Event} */ event) => {
      const frame = Number(inputOf(event).value);
      if (clock.playing) await clock.pause();
      await clock.seek(frame);
    };
    return html`<div class="bar-of-player" ?inert=${!this.ready}>
      <div class="transport">
        <button type="button" class="primary play" @click=${() => clock.toggle()}>
          ${clock.playing ? "Pause" : "Play"}
        </button>
        <input
          type="range"
          aria-label="Frame"
          min="0"
          step="1"
          max=${clock.frames - 1}
          .value=${live(String(clock.frame))}
          @input=${scrub}
        />
        <output class="num soft" title="frame">${clock.frame + 1} / ${clock.frames}</output>
      </div>
      <div class="extras">
        <label class="check"
          >Speed
          <select @change=${(/** @type {Event} */ event) => clock.setSpeed(Number(inputOf(event).value))}>
            ${SPEEDS.map((speed) => html`<option value=${speed} ?selected=${speed === 1}>${speed}×</option>`)}
          </select></label
        >
        <label class="check"
          ><input type="checkbox" checked @change=${(/** @type {Event} */ event) => this.setLoop(event)} />Loop</label
        >
        ${this.looks()}
      </div>
    </div>`;
  }

  /** Width by height of the large video. */
  get ratio() {
    const { videoWidth: width = 0, videoHeight: height = 0 } = this.videos[this.top] ?? {};
    return width && height ? width / height : 16 / 9;
  }

  /** What the large video lies over, and the button for the full screen. */
  looks() {
    if (!this.split) return nothing;
    const others = this.tracks.map((track, n) => ({ track, n })).filter(({ n }) => n !== this.top);
    const choose = (/** @type {Event} */ event) => {
      const { value } = inputOf(event);
      this.setUnder(value ? Number(value) : null);
    };
    const option = (/** @type {{ track: Track, n: number }} */ { track, n }) =>
      html`<option value=${n} ?selected=${n === this.under}>${track.label}</option>`;
    return html`${others.length
        ? html`<label class="check"
            >Wipe
            <select aria-label="Wipe against" @change=${choose}>
              <option value="" ?selected=${this.under === null}>off</option>
              ${others.map(option)}
            </select></label
          >`
        : nothing}
      <button type="button" class="small" @click=${() => this.toggleFullScreen()}>Full screen</button>`;
  }

  /** @param {number | null} under */
  setUnder(under) {
    this.under = under;
    this.draw();
    const select = /** @type {HTMLSelectElement | null} */ (this.element.querySelector("[aria-label='Wipe against']"));
    if (select) select.value = under === null ? "" : String(under);
  }

  /** Lay the large video over the second, or take it away again. */
  toggleWipe() {
    if (this.tracks.length > 1) this.setUnder(this.under === null ? 1 : null);
  }

  async toggleFullScreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.element.querySelector(".player")?.requestFullscreen();
  }

  /**
   * Move the edge of the wipe to the pointer.
   * @param {PointerEvent} event
   */
  drag(event) {
    const screen = event.buttons === 1 && this.under !== null ? this.element.querySelector("figure.first .screen") : null;
    if (!screen) return;
    event.preventDefault();
    const { left, width } = screen.getBoundingClientRect();
    this.wipeAt = Math.round(Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width)));
    this.draw();
  }

  wipeSlider() {
    const set = (/** @type {Event} */ event) => {
      this.wipeAt = Number(inputOf(event).value);
      this.draw();
    };
    return html`<input
      type="range"
      class="wiper"
      min="0"
      max="100"
      aria-label="Wipe between the two videos"
      .value=${live(String(this.wipeAt))}
      @input=${set}
    />`;
  }

  /** @param {Event} event */
  setLoop(event) {
    this.clock.loop = inputOf(event).checked;
  }

  /**
   * Space plays; a comma and a full stop step, as in other players; w and f are for the wipe and the full screen.
   * @param {KeyboardEvent} event
   */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.split && (event.key === "w" || event.key === "f")) {
      event.preventDefault();
      if (event.key === "w") this.toggleWipe();
      else void this.toggleFullScreen();
    }
    if (this.picture) return;
    const step = { ",": -1, ".": 1 }[event.key];
    const field = event.target instanceof Element && event.target.matches("input, select, button");
    if (step === undefined && (event.key !== " " || field)) return;
    event.preventDefault();
    if (step === undefined) this.clock.toggle();
    else this.clock.seek(this.clock.frame + step);
  }
}

/** @param {Track} track */
function videoOf({ src, label }) {
  const video = document.createElement("video");
  Object.assign(video, { src, muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
  video.ariaLabel = label;
  return video;
}

/**
 * The picture that a track may be instead of a video; else a note.
 * @param {Track} track
 */
function still({ src, label }) {
  const missing = (/** @type {Event} */ event) => {
    const note = document.createElement("p");
    note.className = "missing";
    note.textContent = "This browser cannot show this video.";
    /** @type {HTMLElement} */ (event.currentTarget).replaceWith(note);
  };
  return html`<img src=${src} alt=${label} @error=${missing} />`;
}
