// Actions on many runs: one request, then a message with what became of them.

import { api } from "../lib/api.js";
import { count } from "../lib/format.js";
import { confirmed, toast } from "../parts/dialogs.js";

/** @import { BulkAction, BulkOutcome } from "../lib/schema.js" */

const MOST = 20000; // runs of one request

/** @type {Record<string, string>} */
const DONE = { cancel: "cancelled", retry: "queued again", delete: "deleted", rate: "rated", priority: "moved" };

/**
 * Do an action to runs, and say what became of them. Returns the outcomes. Throws ApiError.
 * @param {string[]} ids
 * @param {Omit<BulkAction, "ids">} action
 * @returns {Promise<BulkOutcome[]>}
 */
export async function act(ids, action) {
  /** @type {BulkOutcome[]} */
  const outcomes = [];
  for (let first = 0; first < ids.length; first += MOST) {
    const { data } = await api.bulk({ ...action, ids: ids.slice(first, first + MOST) });
    outcomes.push(...data);
  }
  const refused = outcomes.filter((outcome) => !outcome.done);
  const done = `${count(outcomes.length - refused.length, "run")} ${DONE[action.action]}.`;
  if (!refused.length) toast(done);
  else toast(`${done} ${count(refused.length, "run")} refused; the first, ${refused[0]?.id}: ${refused[0]?.reason}.`, "bad");
  return outcomes;
}

/**
 * Delete runs after confirmation. Returns the ids of the deleted ones. Throws ApiError.
 * @param {string[]} ids
 */
export async function removeRuns(ids) {
  const what = ids.length === 1 ? "this run and its video" : `${ids.length.toLocaleString("en")} runs and their videos`;
  const yes = await confirmed(`Delete ${what}?`, "The input videos stay. This cannot be undone.", "Delete");
  const outcomes = yes ? await act(ids, { action: "delete" }) : [];
  return outcomes.filter((outcome) => outcome.done).map((outcome) => outcome.id);
}

/**
 * Download an export of runs. Throws ApiError.
 * @param {string[]} ids
 * @param {string} format
 */
export async function download(ids, format) {
  if (ids.length > MOST) toast(`An export has ${MOST.toLocaleString("en")} runs at most: these are the first.`, "bad");
  const { url } = await api.makeExport(ids.slice(0, MOST), format);
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.click();
}
