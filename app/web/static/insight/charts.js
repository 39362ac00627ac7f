// Charts as SVG, each with a name and a table or sentence beside it that says the same.

import { h, svg } from "../dom.js";

export const COLOURS = ["#0b5c63", "#b4460f", "#6a4c93", "#2c7a3f", "#8a6d00", "#a3266b", "#35618e", "#566267"];

const round = (value) => Math.round(10 * value) / 10;

export function legend(names, colours = COLOURS) {
  return h("ul.legend", {}, names.map((name, at) => h("li", {}, h("i", { "aria-hidden": "true", css: { background: colours[at % colours.length] } }), name)));
}

// Lines over time. `series` is [[name, values]], all of one length.
export function lines(title, series, { height = 220, unit = "" } = {}) {
  // As wide as it is shown, so that its letters have their size.
  const width = Math.max(260, Math.min(1100, document.getElementById("main").clientWidth - 80));
  const n = Math.max(2, ...series.map(([, values]) => values.length));
  const most = Math.max(...series.flatMap(([, values]) => values)) || 1;
  const x = (at, length) => 40 + ((width - 50) * (n - length + at)) / (n - 1);
  const y = (value) => height - 24 - ((height - 40) * value) / most;
  const label = `${title}: ${series.map(([name, values]) => `${name} ${round(values.at(-1) ?? 0)}${unit} now`).join(", ")}`;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    [0, most / 2, most].map((value) => [
      svg("line", { x1: 40, x2: width - 10, y1: y(value), y2: y(value), stroke: "#e2ddd5" }),
      svg("text", { x: 34, y: y(value) + 4, "text-anchor": "end" }, value >= 10 ? Math.round(value) : round(value)),
    ]),
    series.map(([, values], at) => svg("polyline", {
      points: values.map((value, i) => `${round(x(i, values.length))},${round(y(value))}`).join(" "),
      fill: "none", stroke: COLOURS[at % COLOURS.length], "stroke-width": 2.5, "stroke-linejoin": "round",
    })));
}

// Values with intervals, one row each; `rows` is [{label, value, low, high, tone}].
export function intervals(title, rows, { zero = null, digits = 3, percent = false, decimals = 1 } = {}) {
  const known = rows.filter((row) => row.value !== null && row.value !== undefined);
  const text = (value) => (percent ? `${(100 * value).toFixed(decimals)}%` : value.toFixed(digits));
  if (!known.length) return h("p.quiet", {}, "No figures yet.");
  const all = known.flatMap((row) => [row.value, row.low ?? row.value, row.high ?? row.value]).concat(zero === null ? [] : [zero]);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const span = high - low || 1;
  const at = (value) => `${((100 * (value - low)) / span).toFixed(2)}%`;
  const colours = { good: "#1c6b3c", bad: "#a32020", main: "#0b5c63" };
  return h("ul.intervals", { "aria-label": title }, known.map((row) => {
    const hasRange = row.low !== null && row.low !== undefined && row.high !== null && row.high !== undefined;
    const colour = colours[row.tone] ?? "#566267";
    return h("li", {}, h("span.label", {}, row.label),
      h("span.track", { "aria-hidden": "true" },
        zero !== null && h("i.zero", { css: { left: at(zero) } }),
        hasRange && h("i.range", { css: { left: at(row.low), width: `${((100 * (row.high - row.low)) / span).toFixed(2)}%`, background: colour } }),
        h("i.dot", { css: { left: at(row.value), background: colour } })),
      h("span.number", {}, `${text(row.value)}${hasRange ? ` [${text(row.low)}, ${text(row.high)}]` : ""}`));
  }));
}

// Predicted against observed rates, on logarithmic axes.
export function reliability(bins) {
  const known = bins.filter((bin) => bin.predicted > 0 && bin.observed > 0);
  if (!known.length) return h("p.quiet", {}, "No figures.");
  const all = known.flatMap((bin) => [bin.predicted, bin.observed]).map(Math.log10);
  const [low, high] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
  const size = 300;
  const place = (value) => 44 + ((size - 60) * (Math.log10(value) - low)) / (high - low);
  const ticks = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at));
  return svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", css: { "max-width": "22rem" },
    "aria-label": `Calibration: ${known.map((bin) => `predicted ${(100 * bin.predicted).toFixed(2)}%, observed ${(100 * bin.observed).toFixed(2)}%`).join("; ")}` },
  ticks.map((tick) => [
    svg("line", { x1: place(tick), x2: place(tick), y1: size - 44, y2: 16, stroke: "#efeae2" }),
    svg("line", { x1: 44, x2: size - 16, y1: size - place(tick), y2: size - place(tick), stroke: "#efeae2" }),
    svg("text", { x: place(tick), y: size - 28, "text-anchor": "middle" }, `${100 * tick}%`),
    svg("text", { x: 38, y: size - place(tick) + 4, "text-anchor": "end" }, `${100 * tick}%`),
  ]),
  svg("line", { x1: place(10 ** low), y1: size - place(10 ** low), x2: place(10 ** high), y2: size - place(10 ** high), stroke: "#8a9499", "stroke-dasharray": "4 4" }),
  known.map((bin) => svg("circle", { cx: place(bin.predicted), cy: size - place(bin.observed), r: 5, fill: "#0b5c63" })),
  svg("text", { x: size / 2 + 20, y: size - 8, "text-anchor": "middle" }, "predicted; observed upwards"));
}

export function table(caption, heads, rows) {
  return h("div.scroll", { tabIndex: 0, role: "region", "aria-label": caption }, h("table", {},
    h("caption.hidden", {}, caption),
    h("thead", {}, h("tr", {}, heads.map((head) => h(`th${head.number ? ".number" : ""}`, { scope: "col" }, head.text ?? head)))),
    h("tbody", {}, rows)));
}
