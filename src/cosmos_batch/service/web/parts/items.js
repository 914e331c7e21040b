// Items of a chooser: videos that were uploaded, or that another run used.

import { fileUrl } from "../lib/api.js";
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
 * The item for an input of another run.
 * @param {string} ref
 * @returns {Item}
 */
export const itemOfInput = (ref) => ({
  ref,
  name: baseName(ref),
  note: "as in the run before",
  src: ref.startsWith("file-") ? fileUrl(ref) : undefined,
});
