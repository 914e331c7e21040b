// The HTTP API. The browser holds a session cookie; the key itself is never kept by the page.

const signals = new EventTarget();

/** Call `act` whenever the server asks for a key. */
export const onKeyWanted = (act) => signals.addEventListener("key", act);

/** An answer of status 400 and above, or none at all (status 0). */
export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.param = error.param ?? null;
    this.problems = error.problems ?? [];
  }
}

/** One request. `body`: an object is sent as JSON, FormData as it is. Returns the JSON answer; throws ApiError. */
export async function call(method, path, { body, headers = {}, signal } = {}) {
  const form = body instanceof FormData;
  const sent = {
    "X-Requested-With": "cosmos-batch",
    ...(body && !form ? { "Content-Type": "application/json" } : {}),
    ...headers,
  };
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: body && !form ? JSON.stringify(body) : body,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The server does not answer. It may be restarting; your runs are kept." });
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw refused(answer.status, await answer.text());
}

function refused(status, text) {
  if (status === 401) signals.dispatchEvent(new Event("key"));
  try {
    return new ApiError(status, JSON.parse(text).error);
  } catch {
    return new ApiError(status, { message: `The server answered with status ${status}.` });
  }
}

const query = (params) => {
  const set = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
};
const of = (id) => `/v1/videos/${encodeURIComponent(id)}`;

export const api = {
  server: (o) => call("GET", "/v1/server", o),
  signIn: (key) => call("POST", "/v1/session", { headers: { Authorization: `Bearer ${key}` } }),
  signOut: () => call("DELETE", "/v1/session"),
  videos: (params, o) => call("GET", `/v1/videos${query(params)}`, o),
  video: (id, o) => call("GET", of(id), o),
  history: (id, o) => call("GET", `${of(id)}/history`, o),
  content: (id, variant) => `${of(id)}/content${query({ variant })}`,
  film: (id, variant) => `${of(id)}/content${query({ variant, playable: true })}`, // also what no browser plays
  submit: (body, key) => call("POST", "/v1/videos", { body, headers: { "Idempotency-Key": key } }),
  cancel: (id) => call("POST", `${of(id)}/cancel`),
  retry: (id) => call("POST", `${of(id)}/retry`),
  remove: (id) => call("DELETE", of(id)),
  prioritise: (id, priority) => call("POST", `${of(id)}/priority`, { body: { priority } }),
  rate: (id, rating) => call("POST", `${of(id)}/rating`, { body: { rating } }),
  plan: (runs, o) => call("POST", "/v1/plan", { ...o, body: { runs } }),
  queue: (o) => call("GET", "/v1/queue", o),
  setQueue: (verb) => call("POST", `/v1/queue/${verb}`),
  stats: (hours, o) => call("GET", `/v1/stats${query({ hours })}`, o),
  roots: (path, o) => call("GET", `/v1/roots${query({ path })}`, o),
  files: (params, o) => call("GET", `/v1/files${query(params)}`, o),
  fileContent: (id) => `/v1/files/${encodeURIComponent(id)}/content${query({ playable: true })}`,
};

/** Upload one video, with `progress(fraction)` on the way. Returns the file object; throws ApiError. */
export function upload(file, progress) {
  const form = new FormData();
  form.append("purpose", "user_data");
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch cannot say how much of a body has gone
    request.open("POST", "/v1/files");
    request.setRequestHeader("X-Requested-With", "cosmos-batch");
    request.upload.addEventListener("progress", (e) => e.lengthComputable && progress(e.loaded / e.total));
    request.addEventListener("error", () => reject(new ApiError(0, { message: "The upload broke off." })));
    request.addEventListener("load", () => {
      if (request.status < 400) resolve(JSON.parse(request.responseText));
      else reject(refused(request.status, request.responseText));
    });
    request.send(form);
  });
}

/** A random token, for an idempotency key (randomUUID is missing on plain HTTP). */
export function token() {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
