// What drives a player's clock: buttons, the scrubber and keys.

import { el } from "./dom.js";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];

/** The bar under the videos: play, the frame, speed and loop. */
export function transport(clock) {
  const play = el("button", {
    type: "button",
    class: "primary play",
    on: { click: () => (clock.playing ? clock.pause() : clock.play()).then(paint) },
  });
  const scrub = el("input", { type: "range", min: "0", step: "1", value: "0", "aria-label": "Frame" });
  const where = el("output", { class: "num soft", title: "frame" });
  const speed = el(
    "select",
    {},
    SPEEDS.map((s) => el("option", { value: String(s), selected: s === 1 }, `${s}×`)),
  );
  const loop = el("input", { type: "checkbox", checked: true });
  const paint = () => {
    play.textContent = clock.playing ? "Pause" : "Play";
    scrub.max = String(clock.frames - 1);
    scrub.value = String(clock.frame);
    where.textContent = `${clock.frame + 1} / ${clock.frames}`;
  };
  scrub.addEventListener("input", async () => {
    const n = Number(scrub.value);
    if (clock.playing) await clock.pause();
    await clock.seek(n);
  });
  speed.addEventListener("change", () => clock.setSpeed(Number(speed.value)));
  loop.addEventListener("change", () => (clock.loop = loop.checked));
  clock.changed = paint;
  paint();
  const element = el(
    "div",
    { class: "bar-of-player" },
    el("div", { class: "transport" }, play, scrub, where),
    el(
      "div",
      { class: "extras" },
      el("label", { class: "check" }, "Speed", speed),
      el("label", { class: "check" }, loop, "Loop"),
    ),
  );
  return { element };
}

/** Space plays; a comma and a full stop step, as in other players. */
export function keys(event, clock) {
  if (event.target.matches("input, select, button") && event.key !== "," && event.key !== ".") return;
  const act = {
    " ": () => (clock.playing ? clock.pause() : clock.play()),
    ",": () => clock.seek(clock.frame - 1),
    ".": () => clock.seek(clock.frame + 1),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** How much of the second video shows over the first. */
export function wipeSlider(stage) {
  const slider = el("input", {
    type: "range",
    min: "0",
    max: "100",
    value: "50",
    "aria-label": "Wipe between the two videos",
    class: "wiper",
  });
  const set = () => stage.style.setProperty("--wipe", `${slider.value}%`);
  slider.addEventListener("input", set);
  set();
  return slider;
}
