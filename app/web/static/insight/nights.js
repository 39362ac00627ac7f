// Nights: what nightly runs trained, what the publishing gate decided, and why.

import { call } from "../api.js";
import { h, moment, replace } from "../dom.js";
import { intervals, table } from "./charts.js";

const VERDICTS = {
  published: ["published", ".good"],
  needs_traffic: ["needs traffic", ".warn"],
  rejected: ["rejected", ".bad"],
  nothing_new: ["nothing new", ""],
  failed: ["failed", ".bad"],
};
const ROLES = { candidate: "trained", champion: "compared with", published: "published", awaiting: "awaits a promotion" };
const MEASURES = {
  shown_mrr: "Reciprocal rank in what was shown",
  open_recall_at_10: "Recall at 10 of all open sales",
  shown_log_likelihood: "Log likelihood of what was shown",
};

function took(night) {
  const minutes = Math.round((Date.parse(night.ended_at) - Date.parse(night.started_at)) / 60_000);
  return minutes < 1 ? "less than a minute" : `${minutes} min`;
}

function tone({ low, high }) {
  if (low > 0) return "good";
  return high < 0 ? "bad" : "main";
}

function comparison(night) {
  return h("section.panel", {}, h("h3", { tabIndex: -1, id: "judged" }, `Night of ${moment(night.started_at)}: candidate less what it was compared with`),
    h("p.quiet", {}, `On what customers did from ${moment(night.judged_from)} until ${moment(night.judged_until)}, with 95% intervals over customers; each measure has its own scale.`),
    Object.entries(night.differences).map(([measure, found]) => intervals(MEASURES[measure] ?? measure, [{ label: MEASURES[measure] ?? measure, ...found, tone: tone(found) }], { zero: 0, digits: 5 })));
}

export function nights(main) {
  const list = h("div");
  const judged = h("div");
  replace(main, h("header", {}, h("h2", {}, "Nights"), h("p.quiet", {}, "Each nightly run trains a bundle, judges it on days that it has not seen, and publishes it unless it is worse. The last hundred runs.")), list, judged);

  function row(night) {
    const [word, mark] = VERDICTS[night.verdict];
    const open = () => {
      replace(judged, comparison(night));
      document.getElementById("judged").focus();
    };
    return h("tr", {}, h("td", {}, h(`span.chip${mark}`, {}, word), h("p", {}, moment(night.started_at)), h("p.quiet", {}, took(night))),
      h("td.wide", {}, night.reasons.map((reason) => h("p", {}, reason)),
        night.judged_from && h("button", { type: "button", "aria-label": `Figures of the night of ${moment(night.started_at)}`, on: { click: open } }, "Figures")),
      h("td", {}, h("dl.facts", {}, Object.entries(ROLES).filter(([role]) => night[role]).map(([role, label]) => [h("dt", {}, label), h("dd", {}, h("code", {}, night[role]))]))));
  }

  async function load() {
    const { items } = await call("v1/nights");
    replace(list, h("section.panel", {}, items.length
      ? table("Nights, the latest first", ["Night", "Why", "Bundles"], items.map(row))
      : h("p.quiet", {}, "No night yet: ", h("code", {}, "python -m training nightly"), " leaves its record beside the bundles that this service reads.")));
    const latest = items.find((one) => one.judged_from);
    if (latest) replace(judged, comparison(latest));
  }
  return { ready: load() };
}
