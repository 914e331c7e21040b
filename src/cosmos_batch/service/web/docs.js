// The API's documentation, from /openapi.json: every request with its parameters and its answer. All of it comes from
// this server, so that it works offline and no foreign script runs beside a session.

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";

/**
 * The parts of an OpenAPI document that the page reads.
 * @typedef {{ $ref?: string, anyOf?: Schema[], enum?: unknown[], const?: unknown, type?: string, format?: string,
 *   items?: Schema, properties?: Record<string, Schema>, required?: string[], description?: string,
 *   default?: unknown }} Schema
 * @typedef {Record<string, { schema: Schema }>} Content
 * @typedef {{ name: string, in: string, required?: boolean, schema?: Schema, description?: string }} Parameter
 * @typedef {{ tags?: string[], summary?: string, description?: string, parameters?: Parameter[],
 *   requestBody?: { content: Content }, responses: Record<string, { content?: Content }> }} Operation
 * @typedef {{ info: { version: string }, components: { schemas: Record<string, Schema> },
 *   paths: Record<string, Record<string, Operation>> }} OpenApi
 * @typedef {[name: string, type: string, note: string]} Row
 */

const METHODS = ["get", "post", "delete"];

/** @type {OpenApi} */
const openapi = await (await fetch("/openapi.json")).json();

/**
 * The name at the end of a reference.
 * @param {string} ref
 */
const nameOf = (ref) => ref.split("/").at(-1) ?? ref;

/**
 * A schema with its reference resolved.
 * @param {Schema | undefined} schema
 * @returns {Schema}
 */
const resolved = (schema) => (schema?.$ref ? (openapi.components.schemas[nameOf(schema.$ref)] ?? {}) : (schema ?? {}));

/**
 * A type in words: "Video", "list of string", "integer or null".
 * @param {Schema} [schema]
 * @returns {string}
 */
function typeText(schema = {}) {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(typeText).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeText(schema.items)}`;
  if (schema.format === "binary") return "file";
  return schema.type ?? "any value";
}

/**
 * @param {string} caption
 * @param {Row[]} rows
 */
function table(caption, rows) {
  if (!rows.length) return nothing;
  const row = (/** @type {Row} */ [name, type, note]) =>
    html`<tr><th scope="row"><code>${name}</code></th><td>${type}</td><td class="soft">${note}</td></tr>`;
  return html`<div class="wide"><h3>${caption}</h3><table><tbody>${rows.map(row)}</tbody></table></div>`;
}

/**
 * @param {Schema} schema
 * @returns {Row[]}
 */
const fieldRows = (schema) =>
  Object.entries(schema.properties ?? {}).map(([name, each]) => [
    name,
    typeText(each),
    [schema.required?.includes(name) ? "required" : "", each.description ?? ""].filter(Boolean).join("; "),
  ]);

/** @param {Operation} operation */
const bodies = (operation) =>
  Object.entries(operation.requestBody?.content ?? {}).map(([kind, { schema }]) =>
    table(`Body, ${kind}`, fieldRows(resolved(schema))),
  );

/** @param {Operation} operation */
const answers = (operation) =>
  Object.entries(operation.responses["200"]?.content ?? {}).map(([kind, { schema }]) => {
    const fields = fieldRows(resolved(schema));
    if (fields.length) return table(`Answer, ${typeText(schema)}`, fields);
    return html`<p class="soft">Answers with ${kind}.</p>`;
  });

/**
 * @param {Parameter} parameter
 * @returns {Row}
 */
function parameterRow({ name, in: place, required, schema, description }) {
  const standard = schema?.default ? `default ${schema.default}` : "";
  const note = [required ? "required" : "", standard, description ?? ""].filter(Boolean).join("; ");
  return [name, `${place}, ${typeText(schema)}`, note];
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 */
const operationCard = (method, path, operation) => html`<details class="card">
  <summary>
    <code class="method">${method.toUpperCase()}</code><code>${path}</code>
    <span class="soft">${operation.description?.split("\n")[0] ?? operation.summary}</span>
  </summary>
  <div class="inside">
    ${table("Parameters", (operation.parameters ?? []).map(parameterRow))}${bodies(operation)}${answers(operation)}
  </div>
</details>`;

/** @type {Map<string, unknown[]>} */
const groups = new Map();
for (const [path, operations] of Object.entries(openapi.paths)) {
  for (const method of METHODS) {
    const operation = operations[method];
    if (!operation) continue;
    const name = operation.tags?.[0] ?? "server";
    groups.set(name, [...(groups.get(name) ?? []), operationCard(method, path, operation)]);
  }
}

render(
  html`<h1>cosmos-batch ${openapi.info.version}: the API</h1>
    <p class="soft">
      A server with API keys takes one as Authorization: Bearer cb_… The same document for tools:
      <a href="/openapi.json">openapi.json</a>. Every refusal is an ErrorBody.
    </p>
    <div class="api">
      ${[...groups].map(([name, cards]) => html`<h2>${name}</h2>${cards}`)}
      ${table("ErrorBody", fieldRows(resolved(openapi.components.schemas.ErrorBody)))}
    </div>`,
  /** @type {HTMLElement} */ (document.getElementById("main")),
);
