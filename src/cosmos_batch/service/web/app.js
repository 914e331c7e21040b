// The frame of the page: router, sign-in, and the state of the queue in the header.

import { html } from "./vendor/lit-html/lit-html.js";
import { ApiError, api, onKeyRequired } from "./lib/api.js";
import { clean } from "./lib/format.js";
import { connect, disconnect, listen } from "./lib/live.js";
import { loadServer } from "./lib/server.js";
import { messageOf, paint, throttled } from "./lib/view.js";
import { openDialog, toast } from "./parts/dialogs.js";
import * as compare from "./views/compare.js";
import * as figures from "./views/figures.js";
import * as queue from "./views/queue.js";
import * as run from "./views/run.js";
import * as runs from "./views/runs.js";
import * as submit from "./views/submit.js";

/** @import { View, ViewParams } from "./lib/view.js" */

/** @type {Record<string, View>} */
const VIEWS = {
  queue: queue.view,
  new: submit.view,
  runs: runs.view,
  run: run.view,
  compare: compare.view,
  figures: figures.view,
};
const RETRY = 4000; // ms between two attempts to reach the server

let shown = new AbortController(); // of the view that shows

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * The view that the address names, as "#/run/ID?x=y".
 * @returns {{ name: string, params: ViewParams }}
 */
function route() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = path.split("/");
  return {
    name: name in VIEWS ? name : "queue",
    params: { id: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) },
  };
}

async function show() {
  if (location.hash === "#main") return; // the skip link
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const { name, params } = route();
  markLink(name === "run" || name === "compare" ? "runs" : name);
  const root = document.createElement("div");
  root.className = `view view-${name}`;
  byId("main").replaceChildren(root);
  try {
    await VIEWS[name]?.(root, params, signal);
  } catch (error) {
    if (!signal.aborted) showError(error);
  }
  if (!signal.aborted) document.title = `${root.querySelector("h1")?.textContent?.slice(0, 60) ?? name} · cosmos-batch`;
}

/** @param {unknown} error */
function showError(error) {
  const root = document.createElement("div");
  root.className = "view";
  byId("main").replaceChildren(root);
  paint(root, html`<h1>This did not load</h1><p class="banner bad">${messageOf(error)}</p>`);
}

/** @param {string} name */
function markLink(name) {
  for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("nav a"))) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** @param {{ mode: string, counts: Record<string, number>, trouble?: string | null }} queue */
function showQueueState({ mode, counts, trouble }) {
  const running = (counts.running ?? 0) + (counts.leased ?? 0);
  const waiting = (counts.queued ?? 0) + (counts.preempted ?? 0);
  byId("mode").textContent = `${mode === "running" ? "" : `${mode} · `}${running} running, ${waiting} waiting`;
  if (trouble === undefined) return; // an event does not carry it
  byId("trouble").hidden = !trouble;
  byId("trouble").textContent = clean(trouble);
}

/** @param {boolean} up */
function showLink(up) {
  const dot = byId("link");
  const label = up ? "connected, live" : "not connected";
  dot.classList.toggle("on", up);
  dot.ariaLabel = label;
  dot.title = label;
}

/** Ask for an API key until the server accepts one. */
async function askKey() {
  disconnect();
  if (document.querySelector("dialog.key")) return;
  const draw = (/** @type {HTMLDialogElement} */ dialog) => paint(dialog, keyForm(dialog));
  if (await openDialog({ label: "API key", className: "key small", draw })) await start();
}

/** @param {HTMLDialogElement} dialog */
function keyForm(dialog) {
  const signIn = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (dialog.querySelector("input"));
    try {
      await api.signIn(input.value.trim());
      dialog.close("yes");
    } catch (error) {
      const unknown = error instanceof ApiError && error.status === 401;
      const note = unknown ? "The server does not know this key, or it was revoked." : messageOf(error);
      /** @type {HTMLElement} */ (dialog.querySelector(".error")).textContent = note;
      input.select();
    }
  };
  return html`<form class="stack" @submit=${signIn}>
    <h2>API key</h2>
    <p class="soft">This server requires an API key. Its operator can create one with “cosmos-batch keys add”.</p>
    <label for="api-key">Key</label>
    <input type="password" id="api-key" autocomplete="current-password" required placeholder="cb_…" />
    <p class="error" role="alert"></p>
    <button type="submit" class="primary">Sign in</button>
  </form>`;
}

async function start() {
  let server;
  try {
    server = await loadServer();
  } catch (error) {
    toast(messageOf(error), "bad");
    setTimeout(start, RETRY);
    return;
  }
  byId("signout").hidden = !(server.keys_required && server.signed_in);
  if (server.keys_required && !server.signed_in) {
    askKey();
    return;
  }
  connect();
  refreshQueueState();
  show();
}

const refreshQueueState = throttled(async () => showQueueState(await api.queue()), () => 3000);
listen("queue", showQueueState);
listen("video.state", refreshQueueState);
listen("link", showLink);
onKeyRequired(askKey);
window.addEventListener("hashchange", show);
byId("signout").addEventListener("click", async () => {
  await api.signOut();
  disconnect();
  location.reload();
});
start();
