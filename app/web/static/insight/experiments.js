// Experiments: shares, intervals that may be looked at any day, and what they say.

import { call, part } from "../api.js";
import { day, h, moment, replace } from "../dom.js";
import { percent } from "../sales.js";
import { intervals, lines, table } from "./charts.js";

const plain = (name) => name.replaceAll("_", " ");

function tone({ low, high }) {
  if (low !== null && low > 0) return "good";
  return high !== null && high < 0 ? "bad" : "main";
}

const inUnit = (guardrail, value) => percent(value).replace("%", guardrail.name === "degraded" ? " points" : "%");

function compared(results) {
  const first = results.comparisons.filter((one) => one.metric === results.comparisons[0]?.metric);
  const looks = first.map((one) => ({ ...one, looks: one.looks.filter((look) => look.lift.value !== null) })).filter((one) => one.looks.length > 1);
  return [
    results.verdicts.map((one) => h(one.outcome === "invalid" ? "p.problem" : "p.verdict", {}, one.text)),
    intervals("Lift over the control, safe at every look", results.comparisons.map((one) => ({
      label: `${one.variant}, ${plain(one.metric)}`, ...one.safe_lift, tone: tone(one.safe_lift) })), { zero: 0, percent: true }),
    looks.length > 0 && [h("h4", {}, "Lift by look, in percent"), lines("Lift by look", looks.map((one) => [one.variant, one.looks.map((look) => 100 * look.lift.value)]), { height: 160 })],
    table("Variants", ["Variant", { text: "Share", number: true }, { text: "Assigned", number: true }, { text: "Analysed", number: true }, { text: "Answers", number: true }],
      results.variants.map((one) => h("tr", {}, h("td", {}, one.name, " ", one.name === results.control && h("span.chip", {}, "control")),
        h("td.number", {}, percent(one.share_bp / 10_000)), h("td.number", {}, one.assigned), h("td.number", {}, one.analysed), h("td.number", {}, one.answers)))),
    results.guardrails.length > 0 && table("Guardrails", ["Guardrail", "State", "Variant", { text: "Change", number: true }, { text: "Limit", number: true }],
      results.guardrails.map((one) => h("tr", {}, h("td", {}, plain(one.name)), h("td", {}, h(`span.chip${one.state === "held" ? ".good" : one.state === "breached" ? ".bad" : ".warn"}`, {}, one.state === "open" ? "undecided" : one.state)),
        h("td", {}, one.variant), h("td.number", {}, inUnit(one, one.change.value)), h("td.number", {}, inUnit(one, one.limit))))),
    h("p.quiet", {}, `Events until ${moment(results.until)}. Each ${results.unit} is analysed ${results.rules.window_hours} hours after the first answer, by the time of the latest exported event, not by now. Intervals hold at every look.`),
  ];
}

function interleaved(results) {
  return [
    h(results.coins.alarm ? "p.problem" : "p.verdict", {}, results.verdict),
    intervals("Preference for the second variant", results.preferences.map((one) => ({ label: plain(one.metric), ...one.preference, tone: tone(one.preference) })), { zero: 0, percent: true }),
    h("p.quiet", {}, `${results.analysed} customers; ${percent(results.contested)} of the places belong to one variant.`),
  ];
}

export function experiments(main) {
  const list = h("div.grid");
  replace(main, h("header", {}, h("h2", {}, "Experiments"), h("p.quiet", {}, "Results are computed from exported events and answers.")), list);

  async function panel(one) {
    const now = Date.now();
    const state = Date.parse(one.starts_at) > now ? "planned" : one.ends_at && Date.parse(one.ends_at) < now ? "ended" : "running";
    const body = h("div.panel-body");
    const node = h("section.panel", {}, h("header", {}, h("h3", {}, one.name), h(`span.chip${state === "running" ? ".good" : ""}`, {}, state)),
      h("p.quiet", {}, `${day(one.starts_at)} to ${one.ends_at ? day(one.ends_at) : "open end"}, ${one.variants.length} variants, control ${one.control}`), body);
    try {
      const results = await call(`v1/experiments/${part(one.name)}/results`);
      replace(body, results.verdict ? interleaved(results) : compared(results));
    } catch (error) {
      replace(body, h("p", {}, error.message));
    }
    return node;
  }

  async function load() {
    const { items } = await call("v1/experiments");
    replace(list, items.length ? await Promise.all(items.map(panel)) : h("p.quiet", {}, "The plan has no experiments. They are created with PUT /v1/experiments/{name}."));
  }
  return { ready: load() };
}
