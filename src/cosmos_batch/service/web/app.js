// The frame: which view shows, who is signed in, and the pulse of the queue in the header.

import { api, onKeyWanted } from "./api.js";
import { el, fill, toast } from "./dom.js";
import { clean } from "./format.js";
import { connect, disconnect, gently, listen } from "./live.js";
import * as compare from "./compare.js";
import * as figures from "./figures.js";
import * as queue from "./queue.js";
import * as run from "./run.js";
import * as runs from "./runs.js";
import * as submit from "./submit.js";

const VIEWS = { queue, new: submit, runs, run, compare, figures };
const main = document.getElementById("main");
let leave = new AbortController();

/** The view that the address names: "#/run/ID?x=y". */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return {
    name: name in VIEWS ? name : "queue",
    id: decodeURIComponent(rest.join("/")),
    query: new URLSearchParams(query),
  };
}

async function show() {
  if (location.hash === "#main") return; // the skip link
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const { name, id, query } = place();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === (name === "run" || name === "compare" ? "runs" : name))
      link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = el("div", { class: `view view-${name}` });
  fill(main, view);
  try {
    await VIEWS[name].show(view, { id, query, signal });
  } catch (error) {
    if (!signal.aborted)
      fill(view, el("h1", {}, "This did not load"), el("p", { class: "banner bad" }, error.message));
  }
  if (signal.aborted) return;
  document.title = `${view.querySelector("h1")?.textContent.slice(0, 60) ?? name} · cosmos-batch`;
}

function showPulse({ mode, counts = {}, trouble }) {
  const running = (counts.running ?? 0) + (counts.leased ?? 0);
  const waiting = (counts.queued ?? 0) + (counts.preempted ?? 0);
  const words = mode === "running" ? "" : `${mode} · `;
  document.getElementById("mode").textContent = `${words}${running} running, ${waiting} waiting`;
  const banner = document.getElementById("trouble");
  if (trouble === undefined) return;
  banner.hidden = !trouble;
  banner.textContent = clean(trouble);
}

function showLink(up) {
  const dot = document.getElementById("link");
  dot.classList.toggle("on", up);
  dot.setAttribute("aria-label", up ? "connected, live" : "not connected");
  dot.title = dot.getAttribute("aria-label");
}

function askKey() {
  if (document.querySelector("dialog.key")) return;
  const key = el("input", {
    type: "password",
    id: "api-key",
    autocomplete: "current-password",
    required: true,
    placeholder: "cb_…",
  });
  const wrong = el("p", { class: "error", role: "alert" });
  const form = el(
    "form",
    { class: "stack" },
    el("h2", {}, "API key"),
    el(
      "p",
      { class: "soft" },
      "This server answers only to those who have a key. Whoever runs it can make one with “cosmos-batch keys add”.",
    ),
    el("label", { htmlFor: "api-key" }, "Key"),
    key,
    wrong,
    el("button", { type: "submit", class: "primary" }, "Sign in"),
  );
  const dialog = el("dialog", { class: "key small", "aria-label": "API key" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.signIn(key.value.trim());
      dialog.close();
      start();
    } catch (error) {
      wrong.textContent =
        error.status === 401 ? "The server does not know this key, or it was revoked." : error.message;
      key.select();
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

async function start() {
  let server;
  try {
    server = await api.server();
  } catch (error) {
    toast(error.message, "bad");
    setTimeout(start, 4000);
    return;
  }
  document.getElementById("signout").hidden = !(server.keys_required && server.signed_in);
  if (server.keys_required && !server.signed_in) return askKey();
  connect();
  refreshPulse();
  show();
}

const refreshPulse = gently(() => api.queue().then(showPulse, () => {}), 3000);
listen("queue", showPulse);
listen("video.state", refreshPulse);
listen("link", showLink);
onKeyWanted(() => (disconnect(), askKey()));
window.addEventListener("hashchange", show);
document.getElementById("signout").addEventListener("click", async () => {
  await api.signOut();
  disconnect();
  location.reload();
});
start();
