// Drift: scores and missing values of full answers now, beside those of training.

import { call } from "../api.js";
import { h, replace } from "../dom.js";
import { percent } from "../sales.js";
import { legend, table } from "./charts.js";
import { parse } from "./metrics.js";

// The usual reading of the population stability index.
const LITTLE = 0.1;
const MUCH = 0.25;
const SMALLEST = 1e-4;
const DIFFERENCE = 0.05;
const ENOUGH = 1000;

function byBundle(samples) {
  const found = new Map();
  for (const { name, labels, value } of samples) {
    if (!found.has(labels.bundle)) found.set(labels.bundle, { bands: new Map(), features: new Map() });
    const [kind, key] = labels.band === undefined ? ["features", labels.feature] : ["bands", labels.band];
    const entry = found.get(labels.bundle)[kind];
    const one = entry.get(key) ?? { now: 0, trained: 0 };
    one[name.startsWith("vitrine_trained") ? "trained" : "now"] += value;
    entry.set(key, one);
  }
  return found;
}

function bars(rows, total) {
  const most = Math.max(0.01, ...rows.flatMap(([, one]) => [one.trained, one.now / total]));
  const bar = (share, colour) => h("i", { css: { width: `${(100 * share) / most}%`, background: colour } });
  return h("ul.bands", { "aria-label": "Share of candidates by band of their probability" }, rows.map(([band, one]) => h("li", {},
    h("span.label", {}, band), h("span.pair", { "aria-hidden": "true" }, bar(one.trained, "#b9b2a6"), bar(one.now / total, "#0b5c63")),
    h("span.number", {}, `${percent(one.trained)} trained, ${percent(one.now / total)} now`))));
}

function panel(bundle, { bands, features }) {
  const rows = [...bands].sort((a, b) => Number.parseInt(a[0], 10) - Number.parseInt(b[0], 10));
  const total = rows.reduce((sum, [, one]) => sum + one.now, 0);
  if (!total) return h("section.panel", {}, h("h3", {}, bundle), h("p.quiet", {}, "No full answers of this bundle yet."));
  const psi = rows.reduce((sum, [, one]) => {
    const [now, trained] = [Math.max(SMALLEST, one.now / total), Math.max(SMALLEST, one.trained)];
    return sum + (now - trained) * Math.log(now / trained);
  }, 0);
  const word = total < ENOUGH ? "too few candidates to say" : psi < LITTLE ? "little moved" : psi < MUCH ? "moved" : "much moved";
  const moved = [...features].map(([name, one]) => [name, one.trained, one.now / total]).filter(([, trained, now]) => Math.abs(now - trained) > DIFFERENCE)
    .sort((a, b) => Math.abs(b[2] - b[1]) - Math.abs(a[2] - a[1]));
  return h("section.panel", {}, h("header", {}, h("h3", {}, bundle), h(`span.chip${total >= ENOUGH && psi < LITTLE ? ".good" : ".warn"}`, {}, word)),
    h("p", {}, `Population stability index of the scores: ${psi.toFixed(3)}, of ${total.toLocaleString("en-GB")} candidates of full answers. Below ${LITTLE} little moved, above ${MUCH} much.`),
    bars(rows, total), legend(["training", "now"], ["#b9b2a6", "#0b5c63"]),
    h("p.quiet", {}, "Bands are tenths of the candidates of training: the first of the lowest probabilities, the last of the highest."),
    moved.length
      ? table("Features whose values are missing more or less often than in training", ["Feature", { text: "Missing in training", number: true }, { text: "Now", number: true }],
        moved.slice(0, 20).map(([name, trained, now]) => h("tr", {}, h("td", {}, name), h("td.number", {}, percent(trained)), h("td.number", {}, percent(now)))))
      : h("p.quiet", {}, `No feature is missing ${percent(DIFFERENCE, 0)} more or less often than in training.`));
}

export function drift(main) {
  const list = h("div.grid");
  replace(main, h("header", {}, h("h2", {}, "Drift"), h("p.quiet", {}, "Since the workers of this machine began: how far what the model sees and says has moved from its training.")), list);

  async function load() {
    const samples = parse(await call("metrics", { text: true }), /^vitrine_(scored_candidates_total|trained_score_share|missing_values_total|trained_missing_share)\{/);
    const found = [...byBundle(samples)];
    replace(list, found.length ? found.map(([bundle, one]) => panel(bundle, one)) : h("p.quiet", {}, "No full answers yet."));
  }
  return { ready: load() };
}
