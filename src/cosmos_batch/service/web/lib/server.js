// The server's description of itself: states of runs, controls, limits of settings.

import { api } from "./api.js";

/** @import { ServerInfo, StateInfo } from "./schema.js" */

/** @type {ServerInfo | null} */
let info = null;

/** Load the description, or load it anew. Throws ApiError. */
export async function loadServer() {
  info = await api.server();
  return info;
}

/** The description that was loaded last. */
export function server() {
  if (!info) throw new Error("The server's description is not loaded.");
  return info;
}

/**
 * @param {string} state
 * @returns {StateInfo | undefined}
 */
const stateInfo = (state) => info?.states.find((each) => each.name === state);

/**
 * A state in words.
 * @param {string} state
 */
export const stateLabel = (state) => stateInfo(state)?.label ?? state;

/**
 * Whether a run in this state has ended.
 * @param {string} state
 */
export const hasEnded = (state) => stateInfo(state)?.ended ?? false;

/**
 * Whether a run in this state can be queued again.
 * @param {string} state
 */
export const isRetryable = (state) => stateInfo(state)?.retryable ?? false;

/** The states of runs that have not ended, as a filter. */
export const openStates = () =>
  server()
    .states.filter((state) => !state.ended)
    .map((state) => state.name)
    .join(",");

/**
 * The name of a priority's level.
 * @param {number} priority
 */
export const priorityLabel = (priority) =>
  Object.entries(info?.priority_levels ?? {})
    .filter(([, least]) => least <= priority)
    .at(-1)?.[0] ?? "normal";

/**
 * Whether a priority overtakes running runs.
 * @param {number} priority
 */
export const isUrgent = (priority) => priorityLabel(priority) === "urgent";
