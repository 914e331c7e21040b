// Events of the server, as they happen: one event stream for the whole page.

/**
 * The details of events by kind: those of the API; "link": whether the stream is connected; "resync": it is connected
 * again, and events may have been missed.
 * @typedef {{
 *   "video.state": { video: string, state: string, status: string, reason: string, at: number },
 *   "video.progress": ProgressEvent,
 *   queue: { mode: string, counts: Record<string, number> },
 *   link: boolean,
 *   resync: null,
 * }} LiveEvents
 */

/**
 * @typedef {object} ProgressEvent
 * @property {string} video
 * @property {number} step
 * @property {number} steps
 * @property {number} progress
 * @property {number | null} eta_seconds
 */

const hub = new EventTarget();
const KINDS = /** @type {const} */ (["video.state", "video.progress", "queue"]);
const RECONNECT = 4000; // ms

/** @type {EventSource | null} */
let source = null;
let retry = 0;

/**
 * Call `act` for every event of a kind until `signal` aborts.
 * @template {keyof LiveEvents} K
 * @param {K} kind
 * @param {(detail: LiveEvents[K]) => void} act
 * @param {AbortSignal} [signal]
 */
export function listen(kind, act, signal) {
  hub.addEventListener(kind, (event) => act(/** @type {CustomEvent} */ (event).detail), { signal });
}

/** Open the stream, or open it anew. */
export function connect() {
  clearTimeout(retry);
  source?.close();
  const opened = new EventSource("/v1/events");
  opened.addEventListener("open", () => {
    emit("link", true);
    emit("resync", null);
  });
  opened.addEventListener("error", () => reconnect(opened));
  for (const kind of KINDS) opened.addEventListener(kind, (event) => emit(kind, JSON.parse(event.data)));
  source = opened;
}

/** Close the stream. */
export function disconnect() {
  clearTimeout(retry);
  source?.close();
  emit("link", false);
}

/**
 * Connect again after a refusal. The browser itself reconnects after a lost connection.
 * @param {EventSource} lost
 */
function reconnect(lost) {
  emit("link", false);
  if (lost.readyState === EventSource.CLOSED) retry = setTimeout(connect, RECONNECT);
}

/**
 * @template {keyof LiveEvents} K
 * @param {K} kind
 * @param {LiveEvents[K]} detail
 */
function emit(kind, detail) {
  hub.dispatchEvent(new CustomEvent(kind, { detail }));
}
