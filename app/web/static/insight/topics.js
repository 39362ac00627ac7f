// Topics of the pictures: how many sales show them, and what customers did with these.

import { call, query } from "../api.js";
import { h, replace } from "../dom.js";
import { openMarkets, percent, picture, salesOf, titleOf } from "../sales.js";
import { intervals, table } from "./charts.js";

const Z = 1.96;

// Wilson's interval of a share: it holds for few events, too.
export function share(count, n) {
  if (n <= 0 || count < 0 || count > n) return null;
  const [p, z2] = [count / n, Z * Z];
  const [centre, half] = [(p + z2 / (2 * n)) / (1 + z2 / n), (Z * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n))) / (1 + z2 / n)];
  return { value: p, low: Math.max(0, centre - half), high: centre + half };
}

export function topics(main, context) {
  const found = h("div.stacked");
  const market = h("select", { name: "market", on: { change: load } });
  replace(main, h("header", {}, h("h2", {}, "Topics of the pictures"), h("p.quiet", {}, "Each sale counts for the topic that its pictures show most. Impressions, clicks and purchases are of the last 14 days and of all markets, also of sales that are over.")),
    h("form.controls", {}, h("label", {}, "Open sales of market", market)), found);

  function pictures(ids, known) {
    return h("div.pictures", {}, ids.map((one) => known.get(one)).filter(Boolean).map((sale) => h("figure", {}, picture(sale) ?? h("div.blank"), h("figcaption.hidden", {}, titleOf(sale)))));
  }

  async function load() {
    try {
      const { items } = await call(query("v1/topics", { market: market.value }));
      const known = await salesOf(items.flatMap((one) => one.examples));
      const rate = (one) => share(one.n_purchases, one.n_impressions);
      const rated = items.filter((one) => one.n_impressions > 0 && rate(one)).sort((a, b) => rate(b).value - rate(a).value);
      replace(found, h("section.panel", {}, h("h3", {}, "Purchases per impression, with 95% intervals"),
        intervals("Purchases per impression", rated.map((one) => ({ label: one.name, ...rate(one), tone: "main" })), { percent: true, decimals: 2 })),
      h("section.panel", {}, h("h3", {}, `${items.length} topics`), items.length
        ? table("Topics by purchases", ["Topic", ...(context.hasPictures ? ["Open sales that show it most"] : []), { text: "Open", number: true }, { text: "Impressions", number: true }, { text: "Clicks", number: true }, { text: "Purchases", number: true }],
          items.map((one) => h("tr", {}, h("td", {}, h("strong", {}, one.name)), context.hasPictures && h("td", {}, pictures(one.examples, known)), h("td.number", {}, one.n_sales), h("td.number", {}, one.n_impressions.toLocaleString("en-GB")),
            h("td.number", {}, one.n_clicks.toLocaleString("en-GB"), h("p.quiet", {}, one.n_impressions > 0 ? percent(one.n_clicks / one.n_impressions) : "–")), h("td.number", {}, one.n_purchases))))
        : h("p.quiet", {}, "The model has no topics.")));
    } catch (error) {
      context.failed(found, error);
    }
  }

  async function start() {
    const markets = await openMarkets();
    replace(market, h("option", { value: "" }, "all"), markets.map((name) => h("option", { value: name }, name)));
    await load();
  }
  return { ready: start() };
}
