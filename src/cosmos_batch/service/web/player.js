// Several videos, one clock. The master plays by itself; the others follow it frame by frame.
//
// Videos of one run may differ in rate: frame 12 of an output at 8 frames per second belongs to frame 12 of an input
// at 30, whatever the seconds say. So each video's rate is measured once from the times of its first frames, and
// where a browser cannot tell, the videos are laid over one another from beginning to end.

import { el } from "./dom.js";
import { keys, transport, wipeSlider } from "./transport.js";

/**
 * A player of `tracks` ({label, note, src, master}): a picture of each, and one bar for all. `wipe`: two tracks lie
 * over one another. Returns {element, destroy}.
 */
export function syncPlayer(tracks, { wipe = false } = {}) {
  const views = tracks.map((track) => view(track));
  const master = views[tracks.findIndex((track) => track.master)] ?? views[0];
  const stage = el(
    "div",
    { class: `stage ${wipe ? "wipe" : ""}`, data: { count: String(views.length) } },
    views.map((v) => v.figure),
  );
  const clock = new Clock(
    master,
    views.filter((v) => v !== master),
  );
  const controls = transport(clock);
  const element = el(
    "div",
    { class: "player", role: "group", "aria-label": "Videos, played together" },
    stage,
    wipe ? wipeSlider(stage) : null,
    controls.element,
  );
  element.addEventListener("keydown", (event) => keys(event, clock));
  controls.element.inert = true; // until every video is there: nothing can start out of step
  clock.prepare().then(() => ((controls.element.inert = false), element.classList.add("ready")));
  return { element, clock, destroy: () => clock.destroy() };
}

function view({ label, note, src }) {
  const video = el("video", {
    src,
    muted: true,
    playsInline: true,
    preload: "auto",
    disablePictureInPicture: true,
    "aria-label": label,
  });
  const screen = el("div", { class: "screen" }, video);
  video.addEventListener("error", () => screen.replaceChildren(stillOf(src, label)), { once: true });
  return {
    video,
    rate: null,
    figure: el(
      "figure",
      {},
      screen,
      el("figcaption", {}, el("b", {}, label), note ? el("span", { class: "soft" }, ` ${note}`) : null),
    ),
  };
}

/** What stands in for a video that does not play: the picture that it may be, else a word. */
function stillOf(src, label) {
  const picture = el("img", { src, alt: label });
  picture.addEventListener("error", () =>
    picture.replaceWith(el("p", { class: "missing" }, "This browser cannot show this video.")),
  );
  return picture;
}

/** The shared clock, counted in frames of the master. */
class Clock {
  constructor(master, followers) {
    this.master = master;
    this.followers = followers;
    this.all = [master, ...followers];
    this.speed = 1;
    this.loop = true;
    this.playing = false;
    this.changed = () => {};
    master.video.addEventListener("ended", () => this.ended());
  }

  get rate() {
    return this.master.rate ?? 8;
  }

  get frames() {
    const { duration } = this.master.video;
    return Number.isFinite(duration) ? Math.max(1, Math.round(duration * this.rate)) : 1;
  }

  get frame() {
    return Math.min(this.frames - 1, Math.floor(this.master.video.currentTime * this.rate + 1e-3));
  }

  async prepare() {
    await Promise.all(this.all.map(async (v) => (await loaded(v.video), (v.rate = await measuredRate(v.video)))));
    await this.seek(0);
  }

  /** Where a follower should be, in seconds, when the master is at `time`. */
  place(follower, time) {
    const { duration } = follower.video;
    if (!Number.isFinite(duration)) return 0;
    return Math.min(duration - 1e-3, time * this.ratio(follower));
  }

  /** Seconds of the follower per second of the master. */
  ratio(follower) {
    if (follower.rate && this.master.rate) return this.master.rate / follower.rate;
    return follower.video.duration / this.master.video.duration || 1;
  }

  /** Show frame `n` everywhere: the middle of its time, so that no rounding falls to a neighbour. */
  async seek(n) {
    const time = (Math.max(0, Math.min(this.frames - 1, n)) + 0.5) / this.rate;
    await Promise.all([
      moved(this.master.video, time),
      ...this.followers.map((f) => moved(f.video, this.place(f, time))),
    ]);
    this.changed();
  }

  async play() {
    if (this.playing) return;
    this.playing = true;
    if (this.frame >= this.frames - 1) await this.seek(0);
    this.pace();
    await Promise.all(this.all.map((v) => v.video.play().catch(() => {})));
    this.tick();
  }

  async pause() {
    this.playing = false;
    for (const v of this.all) v.video.pause();
    await this.seek(this.frame);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.pace();
  }

  pace() {
    this.master.video.playbackRate = this.speed;
    for (const f of this.followers) f.video.playbackRate = bounded(this.speed * this.ratio(f));
  }

  tick() {
    if (!this.playing) return;
    for (const f of this.followers) this.hold(f);
    this.changed();
    requestAnimationFrame(() => this.tick());
  }

  /** Keep a follower with the master: a little off is made good by its speed, far off by a jump. */
  hold(follower) {
    const { video } = follower;
    const ratio = this.ratio(follower);
    const behind = (this.place(follower, this.master.video.currentTime) - video.currentTime) / ratio;
    if (video.seeking || video.readyState < 2) return;
    if (Math.abs(behind) > 0.25) video.currentTime = this.place(follower, this.master.video.currentTime);
    video.playbackRate = bounded(this.speed * ratio * (1 + Math.max(-0.5, Math.min(0.5, behind * 4))));
    if (video.paused && behind > 0) video.play().catch(() => {});
  }

  async ended() {
    if (!this.playing) return;
    this.playing = false;
    await this.seek(this.loop ? 0 : this.frames - 1);
    if (this.loop) await this.play();
    else for (const f of this.followers) f.video.pause();
    this.changed();
  }

  destroy() {
    this.playing = false;
    for (const { video } of this.all) {
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
  }
}

const bounded = (rate) => Math.max(0.0625, Math.min(16, rate)); // what browsers accept

function loaded(video) {
  if (video.readyState >= 2 || video.error) return Promise.resolve();
  return new Promise((resolve) => {
    for (const event of ["loadeddata", "error"]) video.addEventListener(event, resolve, { once: true });
  });
}

function moved(video, time) {
  if (!Number.isFinite(video.duration)) return Promise.resolve();
  return new Promise((resolve) => {
    for (const event of ["seeked", "error", "emptied"]) video.addEventListener(event, resolve, { once: true });
    video.currentTime = time;
  });
}

/** Frames per second, from the smallest gap between the first frames shown; null where the browser cannot tell. */
function measuredRate(video) {
  if (!video.requestVideoFrameCallback || video.error) return Promise.resolve(null);
  const times = [];
  return new Promise((resolve) => {
    const stop = () => {
      clearTimeout(limit);
      video.removeEventListener("ended", stop);
      video.pause();
      const gaps = times
        .slice(1)
        .map((time, n) => time - times[n])
        .filter((gap) => gap > 1e-3);
      resolve(gaps.length ? Math.round(1000 / Math.min(...gaps)) / 1000 : null);
    };
    const limit = setTimeout(stop, 2500);
    const seen = (_, { mediaTime }) =>
      times.push(mediaTime) > 4 ? stop() : video.requestVideoFrameCallback(seen);
    video.addEventListener("ended", stop);
    video.requestVideoFrameCallback(seen);
    video.play().catch(stop);
  });
}
