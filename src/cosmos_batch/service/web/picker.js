// Where videos come from: this device (uploaded at once), or the server (its folders, and what was uploaded before).

import { api, upload } from "./api.js";
import { button, el, fill, toast } from "./dom.js";
import { baseName, clean, size } from "./format.js";

/**
 * A chooser of videos. `changed()` is told whenever `chosen` changes: [{ref, name, note}], `ref` being what the API
 * takes. `many`: more than one may be chosen. Returns {element, chosen, busy, add}.
 */
export function chooser({ many, label, changed }) {
  const state = { chosen: [], uploads: 0 };
  const list = el("ul", { class: "files" });
  const input = el("input", {
    type: "file",
    accept: "video/*,image/*",
    multiple: many,
    class: "unseen",
    tabIndex: -1,
    "aria-label": `Upload: ${label}`,
  });
  const put = (item) => {
    state.chosen = many ? [...state.chosen.filter((other) => other.ref !== item.ref), item] : [item];
    paint();
    changed();
  };
  const drop = (item) => {
    state.chosen = state.chosen.filter((other) => other !== item);
    paint();
    changed();
  };
  const paint = () =>
    fill(
      list,
      state.chosen.map((item) => fileRow(item, () => drop(item))),
    );
  const take = (files) => {
    for (const file of many ? files : [...files].slice(0, 1)) send(file);
  };
  const send = async (file) => {
    const row = sendingRow(file);
    list.append(row.element);
    state.uploads += 1;
    changed();
    try {
      const stored = await upload(file, row.progress);
      put({
        ref: stored.id,
        name: clean(stored.filename),
        note: fileNote(stored),
        src: api.fileContent(stored.id),
      });
    } catch (error) {
      toast(`${clean(file.name)}: ${error.message}`, "bad");
    } finally {
      state.uploads -= 1;
      row.element.remove();
      changed();
    }
  };
  input.addEventListener("change", () => (take(input.files), (input.value = "")));
  const element = el(
    "div",
    { class: `chooser ${many ? "wide" : ""}` },
    el(
      "div",
      { class: "row tight" },
      el("button", { type: "button", on: { click: () => input.click() } }, many ? "Upload videos" : "Upload"),
      button(many ? "Pick on the server" : "Pick", async () => {
        for (const item of await pickOnServer(many)) put(item);
      }),
      many ? el("span", { class: "soft droptext" }, "or drop them here") : null,
    ),
    input,
    list,
  );
  takesDrops(element, take);
  return {
    element,
    add: put,
    get chosen() {
      return state.chosen;
    },
    get busy() {
      return state.uploads > 0;
    },
  };
}

function takesDrops(element, take) {
  for (const kind of ["dragenter", "dragover"])
    element.addEventListener(kind, (e) => (e.preventDefault(), element.classList.add("over")));
  for (const kind of ["dragleave", "drop"]) element.addEventListener(kind, () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => (event.preventDefault(), take(event.dataTransfer.files)));
}

function fileRow(item, remove) {
  const look = item.src
    ? el("video", { src: item.src, muted: true, playsInline: true, preload: "metadata", "aria-hidden": "true" })
    : el("span", { class: "nofilm", "aria-hidden": "true" }, "▤");
  return el(
    "li",
    {},
    look,
    el(
      "div",
      { class: "grow" },
      el("span", { class: "one-line words" }, item.name),
      el("small", { class: "soft" }, item.note),
    ),
    el(
      "button",
      {
        type: "button",
        class: "plain",
        title: `Remove ${item.name}`,
        "aria-label": `Remove ${item.name}`,
        on: { click: remove },
      },
      "×",
    ),
  );
}

function sendingRow(file) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": `upload of ${clean(file.name)}` });
  const element = el(
    "li",
    {},
    el("div", { class: "grow" }, el("span", { class: "one-line words" }, clean(file.name)), bar),
    el("small", { class: "soft" }, size(file.size)),
  );
  return { element, progress: (fraction) => (bar.value = fraction) };
}

function fileNote({ width, height, frames, fps, bytes }) {
  const shape = width ? `${width}×${height}` : "";
  const length = frames ? `${frames} frames${fps ? ` at ${Math.round(fps * 100) / 100} fps` : ""}` : "";
  return [shape, length, size(bytes)].filter(Boolean).join(" · ");
}

/** Let a person choose among the server's files. Resolves to the items chosen, none where the dialog is closed. */
async function pickOnServer(many) {
  const marked = new Map();
  const place = el("div", { class: "stack" });
  const go = el(
    "button",
    { type: "button", class: "primary", disabled: true, on: { click: () => dialog.close("yes") } },
    "Use",
  );
  const dialog = el(
    "dialog",
    { class: "picker", "aria-label": "Videos on the server" },
    el(
      "div",
      { class: "row spread" },
      el("h2", {}, "Videos on the server"),
      el(
        "button",
        { type: "button", class: "plain", "aria-label": "Close", on: { click: () => dialog.close() } },
        "×",
      ),
    ),
    place,
    el("div", { class: "row end" }, go),
  );
  const mark = (item, on) => {
    if (!many) marked.clear();
    if (on) marked.set(item.ref, item);
    else marked.delete(item.ref);
    go.disabled = !marked.size;
    go.textContent = marked.size > 1 ? `Use these ${marked.size}` : "Use";
  };
  const openFolder = async (path) => fill(place, await folderList(path, { marked, mark, many, openFolder }));
  document.body.append(dialog);
  try {
    await openFolder(null);
  } catch (error) {
    dialog.remove();
    throw error;
  }
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => (dialog.remove(), resolve(dialog.returnValue === "yes" ? [...marked.values()] : [])),
    );
  });
}

async function folderList(path, { marked, mark, many, openFolder }) {
  const [folder, uploads] = await Promise.all([
    api.roots(path),
    path ? null : api.files({ purpose: "user_data", limit: 50, order: "desc" }),
  ]);
  const row = (item) => {
    const box = el("input", {
      type: many ? "checkbox" : "radio",
      name: "pick",
      checked: marked.has(item.ref),
      on: { change: () => mark(item, box.checked) },
    });
    return el(
      "li",
      {},
      el(
        "label",
        { class: "check grow" },
        box,
        el("span", { class: "one-line words grow" }, item.name),
        el("small", { class: "soft" }, item.note),
      ),
    );
  };
  const open = (entry) =>
    el(
      "li",
      {},
      button(`${clean(entry.name || entry.path)}/`, () => openFolder(entry.path), { kind: "plain folder" }),
    );
  return [
    path
      ? el(
          "p",
          { class: "row tight" },
          button("↑ Up", () => openFolder(folder.parent), { kind: "small" }),
          el("code", { class: "words" }, clean(folder.path)),
        )
      : null,
    el(
      "ul",
      { class: "list pick" },
      folder.data.map((entry) =>
        entry.folder ? open(entry) : row({ ref: entry.path, name: clean(entry.name), note: size(entry.bytes) }),
      ),
    ),
    folder.data.length
      ? null
      : el(
          "p",
          { class: "soft" },
          path ? "No video in this folder." : "The server was started without folders to pick from (--root).",
        ),
    uploads?.data.length
      ? [
          el("h3", {}, "Uploaded before"),
          el(
            "ul",
            { class: "list pick" },
            uploads.data.map((file) =>
              row({
                ref: file.id,
                name: clean(file.filename),
                note: fileNote(file),
                src: api.fileContent(file.id),
              }),
            ),
          ),
        ]
      : null,
  ];
}

/** The item for an input that a run already has. */
export const itemOf = (ref) => ({
  ref,
  name: baseName(ref),
  note: "as in the run before",
  src: ref.startsWith("file-") ? api.fileContent(ref) : undefined,
});
