// Small SVG charts. A chart is drawn at its own width, so that its text keeps its size on a phone. A line below it
// describes the mark under the pointer, and a table holds its numbers for screen readers.

import { html, nothing, render, svg } from "../vendor/lit-html/lit-html.js";

/** @typedef {{ label: string, tick: string, values: number[] }} Row */
/** @typedef {{ name: string, tone: string }} Series */
/** @typedef {{ x: number, y: number, name: string, label: string }} Point */
/** @typedef {(value: number) => number} Scale */
/** @typedef {{ head: string[], rows: string[][] }} Table */

/**
 * Draws the marks of a chart; `say(text)` is called for the mark under the pointer.
 * @typedef {(width: number, height: number, say: (text: string) => void) => unknown} Draw
 */

const EDGE = { top: 10, right: 10, bottom: 26, left: 62 };
const HEIGHT = 210;

/** The drawing of a chart, redrawn when its width changes: set `picture` to {title, note, draw}. */
class ChartPicture extends HTMLElement {
  constructor() {
    super();
    /** @type {{ title: string, note: string, draw: Draw } | null} */
    this.shown = null;
    this.readout = "";
    this.observer = new ResizeObserver(() => this.paint());
  }

  /** @param {{ title: string, note: string, draw: Draw }} picture */
  set picture(picture) {
    this.shown = picture;
    this.paint();
  }

  connectedCallback() {
    this.observer.observe(this);
  }

  disconnectedCallback() {
    this.observer.disconnect();
  }

  paint() {
    if (!this.shown || !this.clientWidth) return;
    const { title, note, draw } = this.shown;
    const width = Math.max(240, Math.round(this.clientWidth));
    const say = (/** @type {string} */ text) => {
      this.readout = text;
      this.paint();
    };
    render(
      html`<svg class="chart" role="img" aria-label=${title} viewBox="0 0 ${width} ${HEIGHT}" height=${HEIGHT}>
          ${draw(width, HEIGHT, say)}
        </svg>
        <p class="readout soft num">${this.readout || note}</p>`,
      this,
    );
  }
}
customElements.define("chart-picture", ChartPicture);

/**
 * A bar chart. `text(value)`: a value as text; `stacked`: the values of a row lie on one another, else side by side;
 * `steps`: the distances that its scale may have.
 * @param {{ title: string, rows: Row[], series: Series[], text: (value: number) => string, stacked: boolean,
 *   steps?: number[] }} chart
 */
export function barChart({ title, rows, series, text, stacked, steps }) {
  const total = (/** @type {Row} */ row) =>
    stacked ? row.values.reduce((sum, value) => sum + value, 0) : Math.max(...row.values);
  const marks = ticks(Math.max(...rows.map(total), 0), steps);
  /** @type {Draw} */
  const draw = (width, height, say) => {
    const y = scale([0, marks.at(-1) ?? 1], [height - EDGE.bottom, EDGE.top]);
    const slot = (width - EDGE.left - EDGE.right) / rows.length;
    const every = Math.ceil(rows.length / Math.max(1, Math.floor((width - EDGE.left) / 64)));
    const label = (/** @type {Row} */ row) =>
      `${row.label}: ${series.map(({ name }, i) => `${text(row.values[i] ?? 0)} ${name}`).join(", ")}`;
    const column = (/** @type {Row} */ row, /** @type {number} */ n) => {
      const left = EDGE.left + n * slot;
      const bars = stacked ? stack(row.values, series, left, slot, y) : siblings(row.values, series, left, slot, y);
      const inner = height - EDGE.top - EDGE.bottom;
      return svg`<g class="column" @pointerenter=${() => say(label(row))}>
        <rect class="hit" x=${left} y=${EDGE.top} width=${slot} height=${inner}><title>${label(row)}</title></rect>
        ${bars}
      </g>`;
    };
    const tick = (/** @type {Row} */ row, /** @type {number} */ n) =>
      n % every ? nothing : tickText(EDGE.left + (n + 0.5) * slot, height - 8, "middle", row.tick);
    return [grid(marks, y, width, text), rows.map(column), rows.map(tick)];
  };
  const table = {
    head: ["", ...series.map(({ name }) => name)],
    rows: rows.map((row) => [row.label, ...row.values.map(text)]),
  };
  const legend = series.length > 1 ? series : [];
  return figure({ title, legend, note: "Point at a bar to read it.", draw, table });
}

/**
 * A scatter chart of two durations on one logarithmic scale, with the line where they are equal.
 * @param {{ title: string, points: Point[], text: (value: number) => string, xName: string, yName: string }} chart
 */
export function scatterChart({ title, points, text, xName, yName }) {
  const positive = points.filter((point) => point.x > 0 && point.y > 0);
  const values = positive.flatMap(({ x, y }) => [x, y]);
  const marks = values.length ? spread(Math.min(...values), Math.max(...values)) : [1, 10];
  /** @type {Draw} */
  const draw = (width, height, say) => {
    const [first, last] = [marks[0] ?? 1, marks.at(-1) ?? 10];
    const sx = scale([Math.log(first), Math.log(last)], [EDGE.left, width - EDGE.right]);
    const sy = scale([Math.log(first), Math.log(last)], [height - EDGE.bottom, EDGE.top]);
    const x = (/** @type {number} */ value) => sx(Math.log(value));
    const y = (/** @type {number} */ value) => sy(Math.log(value));
    const few = marks.filter((_, n) => n % Math.ceil(marks.length / (width < 420 ? 4 : 7)) === 0);
    const dot = (/** @type {Point} */ point) =>
      svg`<circle class="point" cx=${x(point.x)} cy=${y(point.y)} r="4.5" @pointerenter=${() => say(point.label)}
        ><title>${point.label}</title></circle>`;
    return [
      grid(few, y, width, text),
      few.map((mark) => tickText(x(mark), height - 8, "middle", text(mark))),
      svg`<line class="equal" x1=${x(first)} y1=${y(first)} x2=${x(last)} y2=${y(last)}></line>`,
      positive.map(dot),
    ];
  };
  const table = {
    head: ["", xName, yName],
    rows: points.map((point) => [point.name, text(point.x), text(point.y)]),
  };
  const note = `Across: ${xName}. Up: ${yName}. On the line, both are equal.`;
  return figure({ title, legend: [], note, draw, table });
}

/** @param {{ title: string, legend: Series[], note: string, draw: Draw, table: Table }} chart */
const figure = ({ title, legend, note, draw, table }) => html`<figure class="card chart-card">
  <figcaption class="row spread">
    <h2>${title}</h2>
    <span class="legend">
      ${legend.map(({ name, tone }) => html`<span><i class="swatch ${tone}"></i>${name}</span>`)}
    </span>
  </figcaption>
  <chart-picture .picture=${{ title, note, draw }}></chart-picture>
  <details>
    <summary>As a table</summary>
    <div class="scroll">
      <table class="num">
        <thead>
          <tr>${table.head.map((text) => html`<th scope="col">${text}</th>`)}</tr>
        </thead>
        <tbody>${table.rows.map(tableRow)}</tbody>
      </table>
    </div>
  </details>
</figure>`;

/** @param {string[]} cells */
const tableRow = ([first, ...rest]) =>
  html`<tr><th scope="row">${first}</th>${rest.map((text) => html`<td>${text}</td>`)}</tr>`;

/**
 * @param {[number, number]} domain
 * @param {[number, number]} range
 * @returns {Scale}
 */
const scale =
  ([a, b], [from, to]) =>
  (value) =>
    from + ((value - a) / (b - a || 1)) * (to - from);

/**
 * @param {number[]} values
 * @param {Series[]} series
 * @param {number} left
 * @param {number} slot
 * @param {Scale} y
 */
function stack(values, series, left, slot, y) {
  let sum = 0;
  return values.map((value, i) => {
    const bottom = y(sum);
    sum += value;
    return box(series[i]?.tone ?? "", left + slot * 0.16, slot * 0.68, y(sum), bottom);
  });
}

/**
 * @param {number[]} values
 * @param {Series[]} series
 * @param {number} left
 * @param {number} slot
 * @param {Scale} y
 */
function siblings(values, series, left, slot, y) {
  const width = (slot * 0.76) / values.length;
  return values.map((value, i) =>
    box(series[i]?.tone ?? "", left + slot * 0.12 + i * width, width - 1, y(value), y(0)),
  );
}

/**
 * @param {string} tone
 * @param {number} x
 * @param {number} width
 * @param {number} top
 * @param {number} bottom
 */
function box(tone, x, width, top, bottom) {
  if (bottom - top < 0.2) return nothing;
  const narrow = Math.min(width, 34);
  const height = Math.max(1, bottom - top - 0.8);
  return svg`<rect class=${tone} x=${x + (width - narrow) / 2} width=${narrow} y=${top} height=${height} rx="2"></rect>`;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} anchor
 * @param {string} text
 */
const tickText = (x, y, anchor, text) =>
  svg`<text class="tick" x=${x} y=${y} text-anchor=${anchor}>${text}</text>`;

/**
 * Horizontal lines at `marks`, with their values.
 * @param {number[]} marks
 * @param {Scale} y
 * @param {number} width
 * @param {(value: number) => string} text
 */
const grid = (marks, y, width, text) =>
  marks.map((mark) => [
    svg`<line class="grid" x1=${EDGE.left} x2=${width - EDGE.right} y1=${y(mark)} y2=${y(mark)}></line>`,
    tickText(EDGE.left - 6, y(mark) + 4, "end", text(mark)),
  ]);

/**
 * About four round marks from 0 to at least `top`. `steps`: the distances allowed; else 1, 2, 5 times a power of 10.
 * @param {number} top
 * @param {number[]} [steps]
 */
function ticks(top, steps) {
  const power = 10 ** Math.floor(Math.log10(Math.max(top, 1) / 4));
  const step = (steps ?? [1, 2, 5, 10].map((n) => n * power)).find((each) => each * 4 >= top) ?? Math.ceil(top / 4);
  const whole = Math.max(steps?.[0] ?? 1, step);
  return Array.from({ length: Math.max(1, Math.ceil(top / whole)) + 1 }, (_, n) => n * whole);
}

const DURATIONS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400, 259200]; // seconds

/**
 * Round durations from below `low` to above `high`, about threefold from one to the next.
 * @param {number} low
 * @param {number} high
 */
function spread(low, high) {
  const from = Math.max(
    0,
    DURATIONS.findLastIndex((mark) => mark <= low),
  );
  const to = DURATIONS.findIndex((mark) => mark >= high);
  const marks = DURATIONS.slice(from, to < 0 ? undefined : to + 1);
  const first = marks[0] ?? 1;
  return marks.length > 1 ? marks : [first, first * 2];
}
