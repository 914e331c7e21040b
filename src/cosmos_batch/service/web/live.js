// What happens on the server, as it happens: one event stream for the whole page.

const hub = new EventTarget();
const KINDS = ["video.state", "video.progress", "queue"];
let source = null;
let retry = 0;

/**
 * Hear of events until `signal` aborts. Kinds: the API's ("video.state", "video.progress", "queue"), "link" (whether
 * the stream is up, a boolean) and "resync" (the stream is up again: something may have been missed).
 */
export function listen(kind, act, signal) {
  hub.addEventListener(kind, (event) => act(event.detail), { signal });
}

/** Open the stream, or open it anew. */
export function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("/v1/events");
  source.addEventListener("open", () => (say("link", true), say("resync")));
  source.addEventListener("error", lost);
  for (const kind of KINDS) source.addEventListener(kind, (event) => say(kind, JSON.parse(event.data)));
}

/** Close the stream. */
export function disconnect() {
  clearTimeout(retry);
  source?.close();
  say("link", false);
}

// The browser tries again by itself after a broken line, but not after a refusal.
function lost() {
  say("link", false);
  if (source.readyState === EventSource.CLOSED) retry = setTimeout(connect, 4000);
}

function say(kind, detail) {
  hub.dispatchEvent(new CustomEvent(kind, { detail }));
}

/** A version of `act` that runs at most once in `gap` ms, and once more for calls that came in between. */
export function gently(act, gap = 800) {
  let last = 0;
  let timer = 0;
  return () => {
    if (timer) return;
    timer = setTimeout(() => ((timer = 0), (last = Date.now()), act()), Math.max(0, last + gap - Date.now()));
  };
}
