// Numbers, times and names as text.

/**
 * Seconds as "0.4 s", "41 s", "2 min 5 s", "3 h 20 min", "2 d 4 h".
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (!isNumber(seconds)) return "unknown";
  if (seconds > 0 && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return both(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  if (minutes < 2880) return both(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return both(Math.floor(hours / 24), "d", hours % 24, "h");
}

/**
 * The time that is left, in words.
 * @param {number} seconds
 */
export const timeLeft = (seconds) => (seconds < 1 ? "less than 1 s left" : `${duration(seconds)} left`);

/**
 * Whether a value is a finite number.
 * @param {unknown} value
 * @returns {value is number}
 */
export const isNumber = (value) => Number.isFinite(value);

/** @type {(big: number, bigUnit: string, little: number, unit: string) => string} */
const both = (big, bigUnit, little, unit) =>
  little ? `${big} ${bigUnit} ${little} ${unit}` : `${big} ${bigUnit}`;

/**
 * Bytes as "12 MB": powers of 1000.
 * @param {number | null | undefined} bytes
 */
export function size(bytes) {
  if (!isNumber(bytes)) return "unknown";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/**
 * "1 run", "4 runs", "2 batches".
 * @param {number} n
 * @param {string} noun
 */
export const count = (n, noun) =>
  `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : noun.endsWith("ch") ? "es" : "s"}`;

/**
 * A Unix time as a date and time of day; the date of today is left out.
 * @param {number | null | undefined} unix
 */
export function when(unix) {
  if (!unix) return "";
  const date = new Date(unix * 1000);
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return `today ${clock}`;
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year })} ${clock}`;
}

/**
 * Text of a user, with its control characters made visible.
 * @param {unknown} text
 */
export function clean(text) {
  return String(text ?? "").replace(/(?![\t\n])\p{Cc}/gu, (c) => {
    const code = c.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : code === 127 ? "\u2421" : "\ufffd";
  });
}

/**
 * A fraction as a percentage without decimals.
 * @param {number} fraction
 */
export const percent = (fraction) => `${Math.round(fraction * 100)}\u00a0%`;

/**
 * The name of a file or path without its folders.
 * @param {unknown} path
 */
export const baseName = (path) =>
  clean(
    String(path ?? "")
      .split(/[\\/]/)
      .pop(),
  );

/** @type {Record<string, string>} */
const SETTINGS = {
  num_steps: "steps",
  num_frames: "frames",
  fps: "frames per second",
  canny_threshold: "edge threshold",
  blur_strength: "blur of vis",
};

/**
 * The label of a setting of `execution_config`.
 * @param {string} name
 */
export const settingLabel = (name) => SETTINGS[name] ?? name.replaceAll("_", " ");
