// Small charts, drawn by hand. Each is redrawn at the width it has, so that its text keeps its size on a phone, and
// each says what is under the pointer in a line below it. Its numbers are also in a table, for who cannot see it.

import { el, fill, svg } from "./dom.js";

const EDGE = { top: 10, right: 10, bottom: 26, left: 62 };

/**
 * Bars over time. `rows`: [{label, tick, values}], `series`: [{name, tone}], `words(value)`: a value as text.
 * `stacked`: values lie on one another; else they stand side by side.
 */
export function barChart({ title, rows, series, words, stacked, steps }) {
  const draw = (width, height, say) => {
    const total = (row) => (stacked ? row.values.reduce((sum, value) => sum + value, 0) : Math.max(...row.values));
    const marks = ticks(Math.max(...rows.map(total), 0), steps);
    const y = scale([0, marks.at(-1)], [height - EDGE.bottom, EDGE.top]);
    const slot = (width - EDGE.left - EDGE.right) / rows.length;
    const every = Math.ceil(rows.length / Math.max(1, Math.floor((width - EDGE.left) / 64)));
    return [
      grid(marks, y, width, words),
      rows.map((row, n) => {
        const left = EDGE.left + n * slot;
        const hit = svg("rect", {
          class: "hit",
          x: left,
          y: EDGE.top,
          width: slot,
          height: height - EDGE.top - EDGE.bottom,
        });
        const says = `${row.label}: ${series.map((s, i) => `${words(row.values[i])} ${s.name}`).join(", ")}`;
        hit.append(svg("title", {}, says));
        const group = svg(
          "g",
          { class: "column" },
          hit,
          stacked ? stack(row.values, series, left, slot, y) : siblings(row.values, series, left, slot, y),
        );
        group.addEventListener("pointerenter", () => say(says));
        return group;
      }),
      rows.map(
        (row, n) =>
          n % every === 0 &&
          svg(
            "text",
            { class: "tick", x: EDGE.left + (n + 0.5) * slot, y: height - 8, "text-anchor": "middle" },
            row.tick,
          ),
      ),
    ];
  };
  const table = {
    head: ["", ...series.map((s) => s.name)],
    rows: rows.map((row) => [row.label, ...row.values.map(words)]),
  };
  return figure({
    title,
    legend: series.length > 1 ? series : [],
    note: "Point at a bar to read it.",
    draw,
    table,
  });
}

/** Predicted against measured seconds, both on one logarithmic scale, with the line where they are equal. */
export function scatterChart({ title, points, words, xName, yName }) {
  const values = points.flatMap(({ x, y }) => [x, y]).filter((value) => value > 0);
  const marks = spread(Math.min(...values), Math.max(...values));
  const draw = (width, height, say) => {
    const [low, high] = [Math.log(marks[0]), Math.log(marks.at(-1))];
    const edge = EDGE;
    const [sx, sy] = [
      scale([low, high], [edge.left, width - edge.right]),
      scale([low, high], [height - edge.bottom, edge.top]),
    ];
    const [x, y] = [(v) => sx(Math.log(v)), (v) => sy(Math.log(v))];
    const few = marks.filter((_, n) => n % Math.ceil(marks.length / (width < 420 ? 4 : 7)) === 0);
    return [
      few.map((mark) => [
        svg("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y(mark), y2: y(mark) }),
        svg("text", { class: "tick", x: edge.left - 6, y: y(mark) + 4, "text-anchor": "end" }, words(mark)),
        svg("text", { class: "tick", x: x(mark), y: height - 8, "text-anchor": "middle" }, words(mark)),
      ]),
      svg("line", { class: "equal", x1: x(marks[0]), y1: y(marks[0]), x2: x(marks.at(-1)), y2: y(marks.at(-1)) }),
      points
        .filter((p) => p.x > 0 && p.y > 0)
        .map((p) => {
          const dot = svg("circle", { class: "point", cx: x(p.x), cy: y(p.y), r: 4.5 }, svg("title", {}, p.label));
          dot.addEventListener("pointerenter", () => say(p.label));
          return dot;
        }),
    ];
  };
  const table = { head: ["", xName, yName], rows: points.map((p) => [p.name, words(p.x), words(p.y)]) };
  return figure({
    title,
    legend: [],
    note: `Across: ${xName}. Up: ${yName}. On the line, both are equal.`,
    draw,
    table,
  });
}

function figure({ title, legend, note, draw, table }) {
  const readout = el("p", { class: "readout soft num" }, note ?? "");
  const picture = svg("svg", { class: "chart", role: "img", "aria-label": title });
  const paint = () => {
    const width = Math.max(240, Math.round(picture.clientWidth));
    const height = 210;
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("height", String(height));
    fill(
      picture,
      draw(width, height, (text) => (readout.textContent = text)),
    );
  };
  new ResizeObserver(paint).observe(picture);
  return el(
    "figure",
    { class: "card chart-card" },
    el(
      "figcaption",
      { class: "row spread" },
      el("h2", {}, title),
      el(
        "span",
        { class: "legend" },
        legend.map((s) => el("span", {}, el("i", { class: `swatch ${s.tone}` }), s.name)),
      ),
    ),
    picture,
    readout,
    el(
      "details",
      { data: { key: `table-${title}` } },
      el("summary", {}, "As a table"),
      el(
        "div",
        { class: "scroll" },
        el(
          "table",
          { class: "num" },
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              table.head.map((text) => el("th", { scope: "col" }, text)),
            ),
          ),
          el(
            "tbody",
            {},
            table.rows.map(([first, ...rest]) =>
              el(
                "tr",
                {},
                el("th", { scope: "row" }, first),
                rest.map((text) => el("td", {}, text)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

const scale =
  ([a, b], [from, to]) =>
  (value) =>
    from + ((value - a) / (b - a || 1)) * (to - from);

function stack(values, series, left, slot, y) {
  let sum = 0;
  return values.map((value, i) => {
    const [bottom, top] = [y(sum), y((sum += value))];
    return box(series[i].tone, left + slot * 0.16, slot * 0.68, top, bottom);
  });
}

function siblings(values, series, left, slot, y) {
  const wide = (slot * 0.76) / values.length;
  return values.map((value, i) => box(series[i].tone, left + slot * 0.12 + i * wide, wide - 1, y(value), y(0)));
}

function box(tone, x, width, top, bottom) {
  if (bottom - top < 0.2) return null;
  const wide = Math.min(width, 34);
  return svg("rect", {
    class: tone,
    x: x + (width - wide) / 2,
    width: wide,
    y: top,
    height: Math.max(1, bottom - top - 0.8),
    rx: 2,
  });
}

function grid(marks, y, width, words) {
  return marks.map((mark) => [
    svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(mark), y2: y(mark) }),
    svg("text", { class: "tick", x: EDGE.left - 6, y: y(mark) + 4, "text-anchor": "end" }, words(mark)),
  ]);
}

/** About four round marks from 0 to at least `top`. `steps`: the distances allowed; else 1, 2, 5 times a power of 10. */
function ticks(top, steps) {
  const power = 10 ** Math.floor(Math.log10(Math.max(top, 1) / 4));
  const step = (steps ?? [1, 2, 5, 10].map((n) => n * power)).find((s) => s * 4 >= top) ?? Math.ceil(top / 4);
  const whole = Math.max(steps ? steps[0] : 1, step);
  return Array.from({ length: Math.max(1, Math.ceil(top / whole)) + 1 }, (_, n) => n * whole);
}

const DURATIONS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400, 259200]; // seconds, about threefold

/** Round durations from below `low` to above `high`. */
function spread(low, high) {
  const from = Math.max(
    0,
    DURATIONS.findLastIndex((mark) => mark <= low),
  );
  const to = DURATIONS.findIndex((mark) => mark >= high);
  const marks = DURATIONS.slice(from, to < 0 ? undefined : to + 1);
  return marks.length > 1 ? marks : [marks[0], marks[0] * 2];
}
