// One customer: what they did, what we would show, and each recommender beside.

import { call, part, query } from "../api.js";
import { day, h, replace } from "../dom.js";
import { ago, percent, plural, salesOf, titleOf } from "../sales.js";

const N_SHOWN = 10;
const N_EVENTS = 60;

export function customer(main, context) {
  const field = h("input", { name: "customer", required: true, maxLength: 128, value: context.argument ?? "", placeholder: "c-1842" });
  const market = h("input", { name: "market", maxLength: 128, size: 8, placeholder: "any" });
  const found = h("div.grid");
  const columns = h("div");
  const form = h("form.controls", { on: { submit: (event) => { event.preventDefault(); context.go("customer", field.value.trim()); load(); } } },
    h("label", {}, "Customer", field), h("label", {}, "Market", market), h("button.main", { type: "submit" }, "Show"));
  replace(main, h("header", {}, h("h2", {}, "Show me this customer"), h("p.quiet", {}, "All that the service keeps of them, and what it makes of it. Nothing here is logged as shown.")), form, found, columns);

  async function titles(ids) {
    return new Map([...(await salesOf(ids.filter(Boolean)))].map(([one, sale]) => [one, titleOf(sale)]));
  }

  // A slower answer must not replace that of a customer who was asked for later.
  let latest = 0;

  async function load() {
    const id = field.value.trim();
    if (!id) return;
    const number = ++latest;
    try {
      const visit = { customer_id: id, market: market.value.trim(), limit: N_SHOWN, explain: true };
      const [known, { orders, explanations, bundle }] = await Promise.all([call(`v1/customers/${part(id)}`), call(query("v1/orders", visit))]);
      const events = known.events.slice(-N_EVENTS).toReversed();
      const bought = (known.profile?.bought ?? []).map((one) => one.sale_id);
      const shown = orders.flatMap((order) => order.items.map((item) => item.sale_id));
      const named = await titles([...events.map((one) => one.sale_id), ...bought, ...shown]);
      if (number !== latest) return;
      showKnown(known, events, named);
      showOrders(orders, explanations, named, bundle);
    } catch (error) {
      if (number !== latest) return;
      replace(columns);
      context.failed(found, error);
    }
  }

  function showKnown(known, events, named) {
    const counts = Object.entries(known.profile?.counts ?? {}).filter(([, n]) => n).map(([type, n]) => plural(n, type)).join(", ");
    const bought = known.profile?.bought ?? [];
    const attributes = Object.entries(known.profile?.attributes ?? {}).map(([name, value]) => `${name} ${value}`).join(", ");
    const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
    replace(found,
      h("section.panel", {}, h("h3", {}, "Kept"), h("dl.facts", {},
        fact("Events", `${known.events.length} latest`), fact("Shown", `${known.shown.length} sales last`),
        fact("Before last night", counts || "nothing"), fact("Attributes", attributes || "none"),
        fact("First event", known.profile?.first_at ? day(known.profile.first_at) : "unknown"),
        fact("Kept until", known.expires_at ? day(known.expires_at) : "–")),
      bought.length > 0 && [h("h4", {}, "Bought before"), h("ul", {}, bought.slice(0, 12).map((one) => h("li", {}, `${named.get(one.sale_id) ?? one.sale_id ?? "a sale of the past"}, ${one.last_on}`)))]),
      h("section.panel", {}, h("h3", {}, "What they did"), events.length
        ? h("ol.events", { reversed: true, tabIndex: 0, "aria-label": "Events, the latest first" }, events.map((one) => h("li", {},
          h(`span.chip${one.type === "purchase" ? ".good" : one.type === "dislike" ? ".bad" : ""}`, {}, one.type),
          h("span", {}, named.get(one.sale_id) ?? one.sale_id ?? "a sale of the past"), h("time", { dateTime: one.at }, ago(one.at)))))
        : h("p.quiet", {}, known.profile || known.shown.length ? "No events of late." : `Nothing is known of “${known.customer_id}”: a new customer, or another spelling. What stands below is for anyone new.`)));
  }

  function showOrders(orders, explanations, named, bundle) {
    const first = new Set(orders[0]?.items.map((item) => item.sale_id));
    const column = (order, at) => h("div.column", {}, h("h4", {}, at === 0 ? "The model" : order.name),
      order.items.length ? h("ol", {}, order.items.map((item) => h(`li${at > 0 && first.has(item.sale_id) ? ".same" : ""}`, {}, h("span", {},
        named.get(item.sale_id) ?? item.sale_id, h("br"), h("span.quiet", {}, at === 0 ? `${percent(item.purchase_probability, 2)}. ${explanations[item.sale_id]?.sentence ?? ""}` : percent(item.purchase_probability, 2))))))
        : h("p.quiet", {}, "knows nothing of this customer"));
    replace(columns, h("section.panel", {},
      h("header", {}, h("h3", {}, "What we would show, and each recommender beside"), h("span.quiet", {}, bundle ? `bundle ${bundle}, without rules and exploration; green: also in the model's` : "no model is served")),
      h("div.columns", { tabIndex: 0, role: "region", "aria-label": "Orders side by side" }, orders.filter((order) => !order.name.startsWith("meta-")).map(column))));
  }

  return { ready: load() };
}
