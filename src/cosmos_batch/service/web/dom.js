// Building the page. Text enters it as text nodes alone: no string is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: `class`, `on` (listeners by event), `data` (dataset), DOM properties, else attributes. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") node.className = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name in node && name !== "list" && name !== "form") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...present(children));
  return node;
}

/** An SVG element with these attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...present(children));
  return node;
}

/** Put `children` where the children of `node` were; focus and open details with the same data-key stay so. */
export function fill(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = new Map([...node.querySelectorAll("details[data-key]")].map((d) => [d.dataset.key, d.open]));
  node.replaceChildren(...present(children));
  for (const details of node.querySelectorAll("details[data-key]")) {
    if (open.has(details.dataset.key)) details.open = open.get(details.dataset.key);
  }
  if (focused) [...node.querySelectorAll("[data-key]")].find((n) => n.dataset.key === focused)?.focus();
}

/** A button that shows that it is at work until what it does is done. */
export function button(label, act, { kind = "", key, title } = {}) {
  const node = el("button", { type: "button", class: kind, title, data: key ? { key } : {} }, label);
  node.addEventListener("click", async () => {
    node.disabled = true;
    try {
      await act();
    } catch (error) {
      toast(error.message, "bad");
    } finally {
      node.disabled = false;
    }
  });
  return node;
}

/** A form field with its label; `hint` is read out with it. */
export function field(label, control, hint) {
  control.id ||= `f${(field.count = (field.count ?? 0) + 1)}`;
  const note = hint ? el("small", { id: `${control.id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return el("div", { class: "field" }, el("label", { htmlFor: control.id }, label), control, note);
}

/** A select with [value, label] options. */
export function select(options, value, props = {}) {
  const node = el("select", props, ...options.map(([v, label]) => el("option", { value: v }, label)));
  node.value = value;
  return node;
}

/** Say something in passing, at the edge of the page. */
export function toast(text, kind = "") {
  const note = el("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 9000 : 4500);
}

/** Ask before what cannot be taken back; resolves to whether to go on. */
export function confirmed(title, text, yes) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "small", "aria-label": title });
    const close = (answer) =>
      el(
        "button",
        { type: "button", class: answer ? "danger" : "", on: { click: () => dialog.close(answer ? "yes" : "") } },
        answer ? yes : "Keep",
      );
    dialog.append(
      el("h2", {}, title),
      el("p", {}, text),
      el("div", { class: "row end" }, close(false), close(true)),
    );
    dialog.addEventListener("close", () => (dialog.remove(), resolve(dialog.returnValue === "yes")));
    document.body.append(dialog);
    dialog.showModal();
  });
}

function present(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
}
