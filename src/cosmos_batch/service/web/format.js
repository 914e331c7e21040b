// Numbers, times and names as a person reads them.

const STATES = {
  queued: "waiting",
  leased: "starting",
  running: "running",
  preempted: "set aside",
  paused: "paused",
  succeeded: "finished",
  failed: "failed",
  blocked: "blocked",
  cancelled: "cancelled",
};

/** The word for a state. */
export const stateWord = (state) => STATES[state] ?? state;

/** Whether a run in this state still has something to do. */
export const isOpen = (state) => ["queued", "leased", "running", "preempted", "paused"].includes(state);

/** Seconds as "0.4 s", "41 s", "2 min 5 s", "3 h 20 min", "2 d 4 h". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "unknown";
  if (seconds > 0 && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return both(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  if (minutes < 2880) return both(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return both(Math.floor(hours / 24), "d", hours % 24, "h");
}

const both = (big, bigUnit, little, unit) =>
  little ? `${big} ${bigUnit} ${little} ${unit}` : `${big} ${bigUnit}`;

/** Bytes as "12 MB": powers of 1000. */
export function size(bytes) {
  if (!Number.isFinite(bytes)) return "unknown";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** "1 run", "4 runs". */
export const count = (n, noun) =>
  `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : noun.endsWith("ch") ? "es" : "s"}`;

/** A Unix time as a date and time of day; today's without the date. */
export function when(unix) {
  if (!unix) return "";
  const date = new Date(unix * 1000);
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return `today ${clock}`;
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year })} ${clock}`;
}

/** Text from people, with control characters (an escape, say) made visible instead of obeyed. */
export function clean(text) {
  return String(text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : code === 127 ? "\u2421" : "\ufffd";
  });
}

/** A percentage without decimals. */
export const percent = (fraction) => `${Math.round(fraction * 100)}\u00a0%`;

/** The name of a priority. */
export function priorityWord(priority) {
  if (priority >= 100) return "urgent";
  if (priority > 0) return "high";
  return priority < 0 ? "low" : "normal";
}

/** What a file, root path or id is called, without its folders. */
export const baseName = (path) =>
  clean(
    String(path ?? "")
      .split(/[\\/]/)
      .pop(),
  );

/** What a setting of `execution_config` is called. */
export const settingWord = (name) =>
  ({
    num_steps: "steps",
    num_frames: "frames",
    fps: "frames per second",
    canny_threshold: "edge threshold",
    blur_strength: "blur of vis",
  })[name] ?? name.replaceAll("_", " ");
