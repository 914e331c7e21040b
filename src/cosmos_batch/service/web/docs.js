// The API's documentation, out of /openapi.json: every request with what it takes and what it answers. Nothing of it
// comes from elsewhere, so it is there without the internet, and no foreign script runs beside a session.

import { el } from "./dom.js";

const METHODS = ["get", "post", "delete"];

const document_ = await (await fetch("/openapi.json")).json();

/** What a reference or a list of one means. */
function resolved(schema) {
  if (schema?.$ref) return document_.components.schemas[schema.$ref.split("/").at(-1)];
  return schema ?? {};
}

/** A type in words: "VideoShape", "list of string", "integer or null". */
function typeWords(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").at(-1).replace(/Shape$/, "");
  if (schema.anyOf) return schema.anyOf.map(typeWords).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeWords(schema.items)}`;
  if (schema.format === "binary") return "file";
  return schema.type ?? "anything";
}

function table(caption, rows) {
  if (!rows.length) return null;
  const row = ([name, words, note]) =>
    el("tr", {}, el("th", { scope: "row" }, el("code", {}, name)), el("td", {}, words), el("td", { class: "soft" }, note));
  return el("div", { class: "wide" }, el("h3", {}, caption), el("table", {}, rows.map(row)));
}

const fieldRows = (schema) =>
  Object.entries(schema.properties ?? {}).map(([name, each]) => [
    name,
    typeWords(each),
    [schema.required?.includes(name) ? "required" : "", each.description ?? ""].filter(Boolean).join("; "),
  ]);

function bodies(operation) {
  return Object.entries(operation.requestBody?.content ?? {}).map(([kind, { schema }]) =>
    table(`Body, ${kind}`, fieldRows(resolved(schema))),
  );
}

function answer(operation) {
  const content = Object.entries(operation.responses["200"]?.content ?? {});
  return content.map(([kind, { schema }]) => {
    const fields = fieldRows(resolved(schema));
    return fields.length ? table(`Answer, ${typeWords(schema)}`, fields) : el("p", { class: "soft" }, `Answers with ${kind}.`);
  });
}

function operationCard(method, path, operation) {
  const parameters = (operation.parameters ?? []).map((p) => [
    p.name,
    `${p.in}, ${typeWords(p.schema)}`,
    [p.required ? "required" : "", p.schema?.default ? `default ${p.schema.default}` : "", p.description ?? ""]
      .filter(Boolean)
      .join("; "),
  ]);
  return el(
    "details",
    { class: "card" },
    el(
      "summary",
      {},
      el("code", { class: "method" }, method.toUpperCase()),
      el("code", {}, path),
      el("span", { class: "soft" }, operation.description?.split("\n")[0] ?? operation.summary),
    ),
    el("div", { class: "inside" }, table("Parameters", parameters), bodies(operation), answer(operation)),
  );
}

const groups = new Map();
for (const [path, operations] of Object.entries(document_.paths)) {
  for (const method of METHODS.filter((name) => operations[name])) {
    const name = operations[method].tags?.[0] ?? "server";
    groups.set(name, [...(groups.get(name) ?? []), operationCard(method, path, operations[method])]);
  }
}

document.getElementById("main").append(
  el("h1", {}, `cosmos-batch ${document_.info.version}: the API`),
  el(
    "p",
    { class: "soft" },
    "Where the server has keys, send one as Authorization: Bearer cb_… The same as a file for tools: ",
    el("a", { href: "/openapi.json" }, "openapi.json"),
    ". Every refusal is an Error.",
  ),
  el(
    "div",
    { class: "api" },
    [...groups].map(([name, cards]) => [el("h2", {}, name), ...cards]),
    table("Error", fieldRows(document_.components.schemas.ErrorShape)),
  ),
);
