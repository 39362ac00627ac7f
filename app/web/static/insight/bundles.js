// Bundles: which one answers, model cards, and activation, rollback and promotion.

import { call, part } from "../api.js";
import { announce, h, moment, replace } from "../dom.js";
import { percent } from "../sales.js";
import { intervals, reliability, table } from "./charts.js";

// Workers follow a change within two seconds.
const FOLLOWED_MS = 2500;
const OVER = new Set(["full", "stopped"]);
const when = (text) => (text ? moment(text) : "–");

function ask(text, act) {
  const dialog = document.getElementById("dialog");
  replace(dialog, h("form.detail", { method: "dialog", on: { submit: (event) => { if (event.submitter?.value === "yes") act(); } } },
    h("h2", { id: "dialog-title" }, text),
    h("div.actions", {}, h("button.main", { type: "submit", value: "yes" }, "Yes"), h("button", { type: "submit", value: "no" }, "No"))));
  dialog.showModal();
}

function scorers(figures, metric) {
  return Object.entries(figures).filter(([, metrics]) => metrics[metric]).sort((a, b) => b[1][metric].value - a[1][metric].value)
    .map(([label, metrics]) => ({ label, ...metrics[metric], tone: label === "meta" ? "main" : "" }));
}

function card(found) {
  const { trained_on: data, held_out: held, calibration } = found;
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  const slope = calibration.slope;
  return [
    h("dl.facts", {}, fact("Learned", `${data.n_customers.toLocaleString("en-GB")} customers, ${data.n_sales.toLocaleString("en-GB")} sales, ${data.n_lists.toLocaleString("en-GB")} lists, until ${when(data.until)}`),
      fact("Objective", `${found.objective} within ${found.outcome_hours} hours`),
      fact("Held out", `${held.n_lists} later lists of ${held.n_customers} customers, ${held.n_outcomes} outcomes`),
      slope && fact("Calibration", `slope ${slope.value.toFixed(2)} [${slope.low.toFixed(2)}, ${slope.high.toFixed(2)}]; 1 is exact`)),
    h("h4", {}, "Ranking (NDCG at 10) of the meta-model, each recommender and simple baselines"),
    intervals("NDCG at 10", scorers(found.figures, "ndcg_at_10")),
    h("div.grid", {}, h("div", {}, h("h4", {}, "Predicted and observed rates"), reliability(found.bins)),
      h("div", {}, h("h4", {}, "Importance: loss of reciprocal rank without it"), intervals("Importance", Object.entries(found.importances).map(([label, value]) => ({ label, ...value })), { zero: 0 }))),
  ];
}

export function bundles(main) {
  const list = h("div");
  const promotions = h("div");
  const shown = h("div");
  const problem = h("div");
  let again = 0;
  replace(main, h("header", {}, h("h2", {}, "Bundles"), h("p.quiet", {}, "A bundle is a trained model with all that it needs. Changes reach every worker within two seconds.")), problem, list, promotions, shown);

  async function change(text, path, options) {
    try {
      await call(path, options);
      announce(text);
      await load();
      replace(problem);
      clearTimeout(again);
      again = setTimeout(() => load().catch(() => {}), FOLLOWED_MS);
    } catch (error) {
      replace(problem, h("p.problem", {}, error.message));
    }
  }

  async function showCard(bundle) {
    try {
      replace(shown, h("section.panel", {}, h("h3", { tabIndex: -1, id: "card" }, `Model card of ${bundle}`), card(await call(`v1/bundles/${part(bundle)}/card`))));
    } catch (error) {
      replace(shown, h("p.problem", {}, error.message));
    }
  }

  const openCard = async (bundle) => {
    await showCard(bundle);
    document.getElementById("card")?.focus();
  };

  function row(one, active, wanted) {
    const isActive = one.bundle === active;
    const button = (label, act, isShown = true) => isShown && h("button", { type: "button", "aria-label": `${label} ${one.bundle}`, on: { click: act } }, label);
    return h("tr", {}, h("td", {}, h("code", {}, one.bundle), " ", isActive && h("span.chip.good", {}, "answers"), one.bundle === wanted.previous && h("span.chip", {}, "before"),
      one.bundle === wanted.shadow && h("span.chip", {}, "shadow"), one.awaits_traffic && h("span.chip.warn", {}, "awaits a promotion"), one.fault && h("span.chip.bad", {}, "refused"), one.fault && h("p.quiet", {}, one.fault)),
    h("td", {}, h("div.actions", {}, button("Model card", () => openCard(one.bundle), !one.fault),
      button("Promote", () => ask(`Promote ${one.bundle} step by step?`, () => change("The promotion begins in shadow.", "v1/promotions", { method: "POST", body: { bundle: one.bundle } })), !one.fault && !isActive),
      button("Activate", () => ask(`Answer all customers with ${one.bundle} now?`, () => change(`${one.bundle} answers.`, "v1/bundles/active", { method: "PUT", body: { bundle: one.bundle } })), !one.fault && !isActive))),
    h("td", {}, when(one.until)), h("td.wide", {}, one.recommenders.join(", ")));
  }

  function promotion(one) {
    const last = one.decisions.at(-1);
    const isOver = OVER.has(one.stage);
    return h("tr", {}, h("td.number", {}, one.number), h("td", {}, h("code", {}, one.candidate)), h("td", {}, h(`span.chip${isOver ? "" : ".good"}`, {}, `${one.stage}${one.share_bp ? ` ${percent(one.share_bp / 10_000)}` : ""}`)),
      h("td", {}, when(one.since)), h("td", {}, last?.reason ?? ""),
      h("td", {}, !isOver && h("button.danger", { type: "button", "aria-label": `Stop promotion ${one.number}`, on: { click: () => ask(`Stop promotion ${one.number}?`, () => change("Stopped.", `v1/promotions/${one.number}/stop`, { method: "POST", body: { reason: "stopped on the insight page" } })) } }, "Stop")));
  }

  async function load() {
    const [found, recent] = await Promise.all([call("v1/bundles"), call("v1/promotions")]);
    const focused = document.activeElement?.getAttribute("aria-label");
    const active = found.wanted.active ?? found.workers[0]?.active;
    replace(list, h("section.panel", {}, h("header", {}, h("h3", {}, `${found.bundles.length} on this machine, ${found.workers.length} ${found.workers.length === 1 ? "worker" : "workers"}`),
      h("button", { type: "button", "aria-label": "Roll back", disabled: !found.wanted.previous, on: { click: () => ask(`Return to ${found.wanted.previous}?`, () => change("The bundle before answers again.", "v1/bundles/rollback", { method: "POST" })) } }, "Roll back")),
    found.workers.filter((one) => one.failure).map((one) => h("p.problem", {}, `${one.worker}: ${one.failure}`)),
    table("Bundles, newest first", ["Bundle", "Actions", "Data until", "Recommenders"], found.bundles.map((one) => row(one, active, found.wanted)))));
    replace(promotions, recent.items.length > 0 && h("section.panel", {}, h("h3", {}, "Promotions"),
      table("Promotions, the latest first", [{ text: "#", number: true }, "Bundle", "Stage", "Since", "Last decision", "Actions"], recent.items.map(promotion))));
    if (focused) main.querySelector(`button[aria-label="${CSS.escape(focused)}"]`)?.focus();
    if (active && !shown.firstChild) await showCard(active);
  }
  return { ready: load(), stop: () => clearTimeout(again) };
}
