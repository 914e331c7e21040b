// Items of a chooser: videos that were uploaded, or that another run used.

import { ApiError, api, fileUrl } from "../lib/api.js";
import { baseName, clean, size } from "../lib/format.js";

/** @import { File as StoredFile } from "../lib/schema.js" */

/**
 * A chosen video. `ref`: the file id or path that the API takes; `src`: where it can be shown; `picture`: it is one.
 * @typedef {{ ref: string, name: string, note: string, src?: string, picture?: boolean }} Item
 */

/**
 * The item for an uploaded file.
 * @param {StoredFile} file
 * @returns {Item}
 */
export function itemOfFile({ id, filename, width, height, frames, fps, bytes }) {
  const shape = width ? `${width}×${height}` : "";
  const rate = fps ? ` at ${Math.round(fps * 100) / 100} fps` : "";
  const picture = frames === 1;
  const length = picture ? "picture" : frames ? `${frames} frames${rate}` : "";
  const note = [shape, length, size(bytes)].filter(Boolean).join(" · ");
  return { ref: id, name: clean(filename), note, src: fps ? fileUrl(id) : undefined, picture };
}

/**
 * The item for an input of another run: of an uploaded file as when it was chosen, else by its name alone.
 * @param {string} ref
 * @param {AbortSignal} signal
 * @returns {Promise<Item>}
 */
async function itemOfInput(ref, signal) {
  const named = { ref, name: baseName(ref), note: "as in the run before" };
  if (!ref.startsWith("file-")) return named;
  const [id = ref, part] = ref.split("#", 2);
  try {
    const item = itemOfFile(await api.file(id, { signal }));
    return { ...item, ref, note: part ? `${item.note} · ${clean(part)}` : item.note };
  } catch (error) {
    if (error instanceof ApiError) return named; // it was deleted since
    throw error;
  }
}

/**
 * The items for the inputs of another run, by name of the input; none for an input that it lacks.
 * @param {Record<string, string | null>} inputs
 * @param {AbortSignal} signal
 */
export async function itemsOf(inputs, signal) {
  /** @type {Map<string, Item>} */
  const items = new Map();
  const read = async (/** @type {[string, string | null]} */ [name, ref]) => {
    if (ref !== null) items.set(name, await itemOfInput(ref, signal));
  };
  await Promise.all(Object.entries(inputs).map(read));
  return items;
}
