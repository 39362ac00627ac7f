// Sales of a market, and why they rank: for a new customer, or for one who is named.

import { call, query } from "../api.js";
import { h, replace } from "../dom.js";
import { closing, detail, discount, forgetDetail, groupName, money, openMarkets, openSales, percent, picture, salesOf, titleOf } from "../sales.js";
import { COLOURS, legend, table } from "./charts.js";

const N_SHOWN = 20;
const N_GROUPS = 6;

const inFavour = (explanation) => explanation.contributions.filter((one) => one.log_odds > 0.005);
const totalOf = (explanation) => inFavour(explanation).reduce((sum, one) => sum + one.log_odds, 0);

// Bars compare sales: the length of one is the sum of what speaks for it.
function reasons(explanation, groups, most) {
  if (!explanation) return null;
  const known = inFavour(explanation);
  const total = totalOf(explanation);
  const share = (name) => known.filter((one) => one.group === name).reduce((sum, one) => sum + one.log_odds, 0);
  const rest = total - groups.reduce((sum, name) => sum + share(name), 0);
  return [
    h("div.stack", { "aria-hidden": "true" }, groups.map((name, at) => h("span", { css: { width: `${(100 * share(name)) / most}%`, background: COLOURS[at] } })),
      h("span", { css: { width: `${(100 * rest) / most}%`, background: "#b9b2a6" } })),
    h("p.quiet", {}, explanation.sentence),
  ];
}

function place(order, saleId) {
  const at = order.items.findIndex((item) => item.sale_id === saleId);
  if (at < 0) return h("td.number", {}, h("span.quiet", {}, "–"));
  const strength = Math.max(0, 1 - at / N_SHOWN);
  return h("td.number", {}, h("span.rank", { css: { background: `rgb(11 92 99 / ${(0.28 * strength).toFixed(2)})` } }, at + 1));
}

export function sales(main, context) {
  const found = h("div");
  const market = h("select", { name: "market", on: { change: load } });
  const customer = h("input", { name: "customer", placeholder: "a new customer", maxLength: 128 });
  const form = h("form.controls", { on: { submit: (event) => { event.preventDefault(); load(); } } },
    h("label", {}, "Market", market), h("label", {}, "Customer", customer), h("button.main", { type: "submit" }, "Rank"));
  replace(main, h("header", {}, h("h2", {}, "Sales, and why they rank"),
    h("p.quiet", {}, "The meta-model's order without rules and exploration, what speaks for each sale, and its place by each recommender alone. Nothing here is logged as shown."),
    h("p.quiet", {}, "The length of a bar is the sum of what speaks for its sale. Parts that are equal for all sales, as how active a customer is, stand in bars and not in sentences."),
    h("p.quiet", {}, "Who is likeliest to buy a sale: ", h("code", {}, "python -m training batch-score --data DIR --bundle ID --out DIR --sale SALE"), ". Which of its pictures works for whom, where covers are chosen: ", h("code", {}, "python -m training covers --data DIR --bundle ID --snapshots DIR"), ". Both on the machine that trains.")), form, found);

  // A slower answer must not replace that of a later choice.
  let latest = 0;

  async function load() {
    const number = ++latest;
    try {
      const [open, orders] = await Promise.all([openSales(market.value),
        call(query("v1/orders", { market: market.value, customer_id: customer.value.trim(), limit: 50, explain: true }))]);
      await show(open, orders, number);
    } catch (error) {
      if (number === latest) context.failed(found, error);
    }
  }

  async function show(open, { orders, explanations }, number) {
    if (number !== latest) return;
    const [meta, ...others] = orders;
    if (!meta?.items.length) return replace(found, h("p.quiet", {}, "No model is served, or no sale is open in this market."));
    const weights = new Map();
    for (const one of Object.values(explanations)) {
      for (const { group, log_odds: odds } of one.contributions) if (odds > 0) weights.set(group, (weights.get(group) ?? 0) + odds);
    }
    const groups = [...weights].sort((a, b) => b[1] - a[1]).slice(0, N_GROUPS).map(([name]) => name);
    const named = others.filter((order) => order.items.length && !order.name.startsWith("meta-"));
    const shown = meta.items.slice(0, N_SHOWN);
    // Prices and times may have changed since they were read.
    for (const item of shown) forgetDetail(item.sale_id);
    const known = await salesOf(shown.map((item) => item.sale_id));
    const topics = await Promise.all(shown.map((item) => detail(item.sale_id).then((one) => one.picture?.topics?.[0]?.topic ?? "", () => "")));
    const most = Math.max(0.01, ...shown.map((item) => explanations[item.sale_id]).filter(Boolean).map(totalOf));
    if (number !== latest) return;
    replace(found, h("section.panel", {},
      h("header", {}, h("h3", {}, `First ${shown.length} of ${open.sales.length.toLocaleString("en-GB")}${open.areAll ? "" : " or more"} open sales`), legend([...groups.map((name) => (groupName(name) === name ? name : `${groupName(name)} (${name})`)), "other reasons"], [...COLOURS.slice(0, groups.length), "#b9b2a6"])),
      table("Sales by rank", [{ text: "#", number: true }, ...(context.hasPictures ? ["Picture"] : []), "Sale", { text: "Price", number: true }, { text: "Probability", number: true }, "What speaks for it", ...named.map((order) => ({ text: order.name, number: true }))],
        shown.map((item, at) => {
          const sale = known.get(item.sale_id) ?? { sale_id: item.sale_id };
          return h("tr", {}, h("td.number", {}, at + 1), context.hasPictures && h("td", {}, picture(sale) ?? h("div.blank")),
            h("td.sale", {}, h("strong", {}, titleOf(sale)), h("p.quiet", {}, [sale.destination, known.has(item.sale_id) && closing(sale).text].filter(Boolean).join(" · ")), topics[at] && h("span.chip", {}, topics[at])),
            h("td.number", {}, money(sale.price, sale.currency), discount(sale) && h("p.quiet", {}, `−${discount(sale)}%`)),
            h("td.number", {}, percent(item.purchase_probability, 2)), h("td.why", {}, reasons(explanations[item.sale_id], groups, most)),
            named.map((order) => place(order, item.sale_id)));
        }))));
  }

  async function start() {
    const markets = await openMarkets();
    replace(market, h("option", { value: "" }, "all"), markets.map((name) => h("option", { value: name }, name)));
    if (markets.length) market.value = markets[0];
    await load();
  }
  return { ready: start() };
}
