// Live traffic: what the metrics of this service count, from the moment that the page is opened.

import { call } from "../api.js";
import { h, replace } from "../dom.js";
import { percent } from "../sales.js";
import { legend, lines, table } from "./charts.js";
import { parse } from "./metrics.js";

const EVERY_MS = 2000;
const N_SAMPLES = 90;
const ANSWERS = new Set(["/v1/recommendations", "/v1/rank"]);
const WANTED = /^vitrine_(request_seconds|events_total|missing\b)/;

function read(samples) {
  const [answers, buckets, missing] = [new Map(), new Map(), []];
  let events = 0;
  const add = (map, key, value) => map.set(key, (map.get(key) ?? 0) + value);
  for (const { name, labels, value } of samples) {
    const isAnswer = ANSWERS.has(labels.route) && labels.status === "200";
    if (name === "vitrine_request_seconds_count" && isAnswer) add(answers, `${labels.variant}\n${labels.degraded}`, value);
    if (name === "vitrine_request_seconds_bucket" && isAnswer) add(buckets, labels.le === "+Inf" ? Infinity : Number(labels.le), value);
    if (name === "vitrine_events_total" && labels.status === "accepted") events += value;
    if (name === "vitrine_missing" && value > 0) missing.push(labels.part);
  }
  return { at: performance.now(), answers, buckets, events, missing };
}

const since = (now, first, key) => (now.get(key) ?? 0) - (first.get(key) ?? 0);

function quantile(now, first, share) {
  const edges = [...now.buckets.keys()].sort((a, b) => a - b);
  const total = edges.length ? since(now.buckets, first.buckets, edges.at(-1)) : 0;
  if (total <= 0) return null;
  return edges.find((edge) => since(now.buckets, first.buckets, edge) >= share * total);
}

export function traffic(main) {
  const seen = [];
  const numbers = h("dl.numbers");
  const chart = h("div");
  const rows = h("div");
  const problem = h("div");
  replace(main, h("header", {}, h("h2", {}, "Traffic now"), h("p.quiet", {}, "Answers of this machine's workers by variant and degradation level, every two seconds since you opened the page.")),
    problem, numbers, h("section.panel", {}, h("h3", {}, "Answers a second by variant"), chart), h("section.panel", {}, h("h3", {}, "By variant and degradation level"), rows));

  function show() {
    const [now, first] = [seen.at(-1), seen[0]];
    const seconds = (now.at - first.at) / 1000;
    const keys = [...now.answers.keys()].sort();
    const total = keys.reduce((sum, key) => sum + since(now.answers, first.answers, key), 0);
    const degraded = keys.filter((key) => key.split("\n")[1]).reduce((sum, key) => sum + since(now.answers, first.answers, key), 0);
    const p95 = quantile(now, first, 0.95);
    const number = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    replace(numbers,
      number("Answers a second", seconds > 0 ? (total / seconds).toFixed(1) : "…"),
      number("Degraded", total ? percent(degraded / total) : "–"),
      number("95% are faster than", p95 === null || p95 === undefined ? "–" : p95 === Infinity ? "> 10 s" : `${Math.round(1000 * p95)} ms`),
      number("Events a second", seconds > 0 ? ((now.events - first.events) / seconds).toFixed(1) : "…"),
      number("Lacking", now.missing.length ? now.missing.join(", ") : "nothing"));
    const names = [...new Set(keys.map((key) => key.split("\n")[0]))];
    const rate = (name, at) => {
      const [before, after] = [seen[at], seen[at + 1]];
      const count = keys.filter((key) => key.split("\n")[0] === name).reduce((sum, key) => sum + since(after.answers, before.answers, key), 0);
      return (1000 * count) / (after.at - before.at);
    };
    const label = (name) => name || "no experiment, or forced";
    const series = names.map((name) => [label(name), seen.slice(1).map((_, at) => rate(name, at))]);
    replace(chart, series.length && seen.length > 2
      ? [lines("Answers a second", series, { unit: " a second" }), legend(names.map(label))]
      : h("p.quiet", {}, names.length ? "Counting …" : "No answers yet."));
    replace(rows, table("Answers by variant and level", ["Variant", "Level", { text: "Since opened", number: true }, { text: "Share", number: true }, { text: "In all", number: true }],
      keys.map((key) => {
        const [variant, level] = key.split("\n");
        const count = since(now.answers, first.answers, key);
        return h("tr", {}, h("td", {}, label(variant)), h("td", {}, h(`span.chip${level ? ".warn" : ".good"}`, {}, level || "in full")),
          h("td.number", {}, count), h("td.number", {}, total ? percent(count / total) : "–"), h("td.number", {}, now.answers.get(key)));
      })));
  }

  async function tick() {
    if (document.hidden) return;
    try {
      seen.push(read(parse(await call("metrics", { text: true }), WANTED)));
      if (seen.length > N_SAMPLES) seen.shift();
      replace(problem);
      show();
    } catch (error) {
      replace(problem, h("p.problem", {}, error.message));
      if ([401, 403].includes(error.status)) throw error;
    }
  }

  const timer = setInterval(() => tick().catch(() => {}), EVERY_MS);
  return { ready: tick(), stop: () => clearInterval(timer) };
}
