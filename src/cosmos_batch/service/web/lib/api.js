// The HTTP API. The browser holds a session cookie; the page never stores the key.

/** @import { BulkAction, BulkResult, Export, File, FileList, FolderListing, Histogram, Outline } from "./schema.js" */
/** @import { PlanPreview, Queue, QueueOutlook, RunLabelCounts, ServerInfo, Stats } from "./schema.js" */
/** @import { FieldProblem, Video, VideoHistory, VideoList, VideoRequest } from "./schema.js" */

/** @typedef {{ signal?: AbortSignal }} Options */
/** @typedef {string | number | boolean | null | undefined} QueryValue */
/** @typedef {Record<string, QueryValue | string[]>} Query */

const signals = new EventTarget();

/**
 * Call `act` whenever the server asks for a key.
 * @param {() => void} act
 */
export const onKeyRequired = (act) => signals.addEventListener("key", act);

/** An answer of status 400 and above, or none at all (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {FieldProblem[]} [problems]
   */
  constructor(status, message, problems = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}

/**
 * Send one request and return the JSON answer. `body`: an object is sent as JSON. Throws ApiError.
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} [options]
 * @returns {Promise<T>}
 */
async function call(method, path, { body, headers = {}, signal } = {}) {
  /** @type {Record<string, string>} */
  const sent = { "X-Requested-With": "cosmos-batch", ...headers };
  /** @type {RequestInit} */
  const request = { method, headers: sent, signal };
  if (body) {
    sent["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer. It may be restarting; your runs are kept.");
  }
  if (answer.ok) return answer.status === 204 ? /** @type {T} */ (null) : answer.json();
  throw apiError(answer.status, await answer.text());
}

/**
 * @param {number} status
 * @param {string} text
 */
function apiError(status, text) {
  if (status === 401) signals.dispatchEvent(new Event("key"));
  try {
    const { error } = JSON.parse(text);
    return new ApiError(status, error.message, error.problems);
  } catch {
    return new ApiError(status, `The server answered with status ${status}.`);
  }
}

/** @param {Query} params */
function query(params) {
  const each = Object.entries(params).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => /** @type {const} */ ([name, one])),
  );
  const set = each.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set.map(([name, value]) => [name, String(value)]))}` : "";
}

/** @param {string} id */
const pathOf = (id) => `/v1/videos/${encodeURIComponent(id)}`;

export const api = {
  /** @type {(options?: Options) => Promise<ServerInfo>} */
  server: (options) => call("GET", "/v1/server", options),
  /** @type {(key: string) => Promise<null>} */
  signIn: (key) => call("POST", "/v1/session", { headers: { Authorization: `Bearer ${key}` } }),
  /** @type {() => Promise<null>} */
  signOut: () => call("DELETE", "/v1/session"),
  /** @type {(params: Query, options?: Options) => Promise<VideoList>} */
  videos: (params, options) => call("GET", `/v1/videos${query(params)}`, options),
  /** @type {(id: string, options?: Options) => Promise<Video>} */
  video: (id, options) => call("GET", pathOf(id), options),
  /** @type {(id: string, options?: Options) => Promise<VideoHistory>} */
  history: (id, options) => call("GET", `${pathOf(id)}/history`, options),
  /** @type {(body: VideoRequest, key: string) => Promise<Video>} */
  submit: (body, key) => call("POST", "/v1/videos", { body, headers: { "Idempotency-Key": key } }),
  /** @type {(id: string) => Promise<Video>} */
  cancel: (id) => call("POST", `${pathOf(id)}/cancel`),
  /** @type {(id: string) => Promise<Video>} */
  retry: (id) => call("POST", `${pathOf(id)}/retry`),
  /** @type {(id: string) => Promise<unknown>} */
  remove: (id) => call("DELETE", pathOf(id)),
  /** @type {(id: string, priority: string) => Promise<Video>} */
  prioritise: (id, priority) => call("POST", `${pathOf(id)}/priority`, { body: { priority } }),
  /** @type {(id: string, rating: number | null) => Promise<Video>} */
  rate: (id, rating) => call("POST", `${pathOf(id)}/rating`, { body: { rating } }),
  /** @type {(params: Query, options?: Options) => Promise<Outline>} */
  outline: (params, options) => call("GET", `/v1/runs/outline${query(params)}`, options),
  /** @type {(params: Query, options?: Options) => Promise<Histogram>} */
  histogram: (params, options) => call("GET", `/v1/runs/histogram${query(params)}`, options),
  /** @type {(options?: Options) => Promise<RunLabelCounts>} */
  labels: (options) => call("GET", "/v1/runs/labels", options),
  /** @type {(ids: string[], options?: Options) => Promise<VideoList>} */
  lookUp: (ids, options) => call("POST", "/v1/runs/lookup", { ...options, body: { ids } }),
  /** @type {(action: BulkAction) => Promise<BulkResult>} */
  bulk: (action) => call("POST", "/v1/runs/bulk", { body: action }),
  /** @type {(ids: string[], format: string) => Promise<Export>} */
  makeExport: (ids, format) => call("POST", "/v1/runs/exports", { body: { ids, format } }),
  /** @type {(runs: VideoRequest[], options?: Options) => Promise<PlanPreview>} */
  plan: (runs, options) => call("POST", "/v1/plan", { ...options, body: { runs } }),
  /** @type {(options?: Options) => Promise<Queue>} */
  queue: (options) => call("GET", "/v1/queue", options),
  /** @type {(verb: "pause" | "resume" | "drain") => Promise<Queue>} */
  setQueue: (verb) => call("POST", `/v1/queue/${verb}`),
  /** @type {(options?: Options) => Promise<QueueOutlook>} */
  outlook: (options) => call("GET", "/v1/outlook", options),
  /** @type {(hours: string, options?: Options) => Promise<Stats>} */
  stats: (hours, options) => call("GET", `/v1/stats${query({ hours })}`, options),
  /** @type {(path: string | null) => Promise<FolderListing>} */
  roots: (path) => call("GET", `/v1/roots${query({ path })}`),
  /** @type {(params: Query) => Promise<FileList>} */
  files: (params) => call("GET", `/v1/files${query(params)}`),
  /** @type {(id: string, options?: Options) => Promise<File>} */
  file: (id, options) => call("GET", `/v1/files/${encodeURIComponent(id)}`, options),
};

/**
 * The address of a file of a run.
 * @param {string} id
 * @param {string} variant
 */
export const contentUrl = (id, variant) => `${pathOf(id)}/content${query({ variant })}`;

/**
 * The address of a video of a run, as a copy that browsers play.
 * @param {string} id
 * @param {string} variant
 */
export const playableUrl = (id, variant) => `${pathOf(id)}/content${query({ variant, playable: true })}`;

/**
 * The address of an uploaded video, as a copy that browsers play.
 * @param {string} id
 */
export const fileUrl = (id) => `/v1/files/${encodeURIComponent(id)}/content${query({ playable: true })}`;

/**
 * Upload one video, with `progress(fraction)` on the way. Throws ApiError.
 * @param {globalThis.File} file
 * @param {(fraction: number) => void} progress
 * @returns {Promise<File>}
 */
export function upload(file, progress) {
  const form = new FormData();
  form.append("purpose", "user_data");
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not report how much of a body was sent
    request.open("POST", "/v1/files");
    request.setRequestHeader("X-Requested-With", "cosmos-batch");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    request.addEventListener("error", () => reject(new ApiError(0, "The connection was lost during the upload.")));
    request.addEventListener("load", () => {
      if (request.status < 400) resolve(JSON.parse(request.responseText));
      else reject(apiError(request.status, request.responseText));
    });
    request.send(form);
  });
}

/** A random token, for an idempotency key (randomUUID is missing on plain HTTP). */
export function token() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
