// The shared clock of several videos, counted in frames of the master.
//
// Videos of one run may differ in rate: frame 12 of an output at 8 frames per second belongs to frame 12 of an input
// at 30, whatever the seconds are. So each video's rate is measured once from the times of its first frames; where a
// browser cannot measure it, the videos are stretched over one another from beginning to end.

/**
 * A video of the player. `rate`: frames per second; null where the browser cannot measure it.
 * @typedef {{ video: HTMLVideoElement, rate: number | null }} Follower
 */

const MEASURE_MS = 2500; // the longest measurement of a rate
const MEASURED = 4; // gaps between frames that a rate is measured from
const JUMP = 0.25; // seconds behind the master from which a follower jumps
const DEFAULT_RATE = 8; // frames per second

export class Clock {
  /**
   * @param {HTMLVideoElement} master
   * @param {HTMLVideoElement[]} followers
   * @param {() => void} changed called when the frame or the state changes
   */
  constructor(master, followers, changed) {
    /** @type {Follower} */
    this.master = { video: master, rate: null };
    /** @type {Follower[]} */
    this.followers = followers.map((video) => ({ video, rate: null }));
    this.changed = changed;
    this.speed = 1;
    this.loop = true;
    this.playing = false;
    master.addEventListener("ended", () => this.ended());
  }

  get all() {
    return [this.master, ...this.followers];
  }

  get rate() {
    return this.master.rate ?? DEFAULT_RATE;
  }

  get frames() {
    const { duration } = this.master.video;
    return Number.isFinite(duration) ? Math.max(1, Math.round(duration * this.rate)) : 1;
  }

  get frame() {
    return Math.min(this.frames - 1, Math.floor(this.master.video.currentTime * this.rate + 1e-3));
  }

  /** Load every video, measure its rate, and show the first frame. */
  async prepare() {
    await Promise.all(
      this.all.map(async (each) => {
        await loaded(each.video);
        each.rate = await measuredRate(each.video);
      }),
    );
    await this.seek(0);
  }

  /**
   * The time of a follower, in seconds, when the master is at `time`.
   * @param {Follower} follower
   * @param {number} time
   */
  place(follower, time) {
    const { duration } = follower.video;
    if (!Number.isFinite(duration)) return 0;
    return Math.min(duration - 1e-3, time * this.ratio(follower));
  }

  /**
   * Seconds of the follower per second of the master.
   * @param {Follower} follower
   */
  ratio(follower) {
    if (follower.rate && this.master.rate) return this.master.rate / follower.rate;
    return follower.video.duration / this.master.video.duration || 1;
  }

  /**
   * Show frame `n` of every video: the middle of its time, so that rounding does not select a neighbour.
   * @param {number} n
   */
  async seek(n) {
    const time = (Math.max(0, Math.min(this.frames - 1, n)) + 0.5) / this.rate;
    await Promise.all([
      moved(this.master.video, time),
      ...this.followers.map((follower) => moved(follower.video, this.place(follower, time))),
    ]);
    this.changed();
  }

  async play() {
    if (this.playing) return;
    this.playing = true;
    if (this.frame >= this.frames - 1) await this.seek(0);
    this.applySpeed();
    await Promise.all(this.all.map(({ video }) => video.play().catch(() => {})));
    this.tick();
  }

  async pause() {
    this.playing = false;
    for (const { video } of this.all) video.pause();
    await this.seek(this.frame);
  }

  async toggle() {
    await (this.playing ? this.pause() : this.play());
    this.changed();
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.speed = speed;
    this.applySpeed();
  }

  applySpeed() {
    this.master.video.playbackRate = this.speed;
    for (const follower of this.followers) follower.video.playbackRate = bounded(this.speed * this.ratio(follower));
  }

  tick() {
    if (!this.playing) return;
    for (const follower of this.followers) this.hold(follower);
    this.changed();
    requestAnimationFrame(() => this.tick());
  }

  /**
   * Keep a follower with the master: by its speed, and by a jump where it is far off.
   * @param {Follower} follower
   */
  hold(follower) {
    const { video } = follower;
    const ratio = this.ratio(follower);
    const behind = (this.place(follower, this.master.video.currentTime) - video.currentTime) / ratio;
    if (video.seeking || video.readyState < 2) return;
    if (Math.abs(behind) > JUMP) video.currentTime = this.place(follower, this.master.video.currentTime);
    video.playbackRate = bounded(this.speed * ratio * (1 + Math.max(-0.5, Math.min(0.5, behind * 4))));
    if (video.paused && behind > 0) video.play().catch(() => {});
  }

  async ended() {
    if (!this.playing) return;
    this.playing = false;
    await this.seek(this.loop ? 0 : this.frames - 1);
    if (this.loop) await this.play();
    else for (const { video } of this.followers) video.pause();
    this.changed();
  }

  /** Stop, and release the videos. */
  destroy() {
    this.playing = false;
    for (const { video } of this.all) {
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
  }
}

/** @param {number} rate */
const bounded = (rate) => Math.max(0.0625, Math.min(16, rate)); // the limits of browsers

/**
 * Resolve at the first of these events.
 * @param {HTMLVideoElement} video
 * @param {string[]} events
 * @returns {Promise<void>}
 */
const first = (video, ...events) =>
  new Promise((resolve) => {
    for (const event of events) video.addEventListener(event, () => resolve(), { once: true });
  });

/** @param {HTMLVideoElement} video */
async function loaded(video) {
  if (video.readyState < 2 && !video.error) await first(video, "loadeddata", "error");
}

/**
 * @param {HTMLVideoElement} video
 * @param {number} time
 */
async function moved(video, time) {
  if (!Number.isFinite(video.duration)) return;
  const arrived = first(video, "seeked", "error", "emptied");
  video.currentTime = time;
  await arrived;
}

/**
 * Frames per second, from the smallest gap between the first frames shown; null where the browser cannot measure it.
 * @param {HTMLVideoElement} video
 * @returns {Promise<number | null>}
 */
function measuredRate(video) {
  if (!("requestVideoFrameCallback" in video) || video.error) return Promise.resolve(null);
  /** @type {number[]} */
  const times = [];
  return new Promise((resolve) => {
    const stop = () => {
      clearTimeout(limit);
      video.removeEventListener("ended", stop);
      video.pause();
      const gaps = times.slice(1).map((time, n) => time - (times[n] ?? time));
      const real = gaps.filter((gap) => gap > 1e-3);
      resolve(real.length ? Math.round(1000 / Math.min(...real)) / 1000 : null);
    };
    const limit = setTimeout(stop, MEASURE_MS);
    const seen = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ { mediaTime }) => {
      if (times.push(mediaTime) > MEASURED) stop();
      else video.requestVideoFrameCallback(seen);
    };
    video.addEventListener("ended", stop);
    video.requestVideoFrameCallback(seen);
    video.play().catch(stop);
  });
}
