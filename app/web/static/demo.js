// The shop window: pages of customers, made anew after everything that they do.

import { Problem, call, key, part, query } from "./api.js";
import { card, saleDialog } from "./cards.js";
import { announce, h, replace } from "./dom.js";
import { newSaleDialog } from "./new-sale.js";
import { ago, openMarkets, plural, salesOf, titleOf } from "./sales.js";
import { whenSeen } from "./vitrine.js";

const N_NAMED = 30;
// Twenty sales: as many as one answer explains.
const ROWS = [
  { name: "first", limit: 8 },
  { name: "soon", kind: "closing_soon", hours: 36, limit: 4 },
  { name: "looked", kind: "because_you_looked", limit: 4, min_items: 2 },
  { name: "bought", kind: "like_what_you_bought", limit: 4, min_items: 2 },
];
const FIELDS = ["title", "destination", "country", "price", "original_price", "currency", "opens_at", "closes_at", "image"];
const BECAUSE = { looked: "looked at", bought: "bought" };
const KINDS = { looks: "never bought", new: "hardly known" };
const LEVELS = {
  stale_counts: "counts of events are not current", anonymous: "the customer could not be read in time: as for someone unknown",
  variant: "the bundle of this variant is not loaded", remembered: "sales are the last known ones: the store is away or lost some, or the service is too busy to read changes",
  list: "no model: the customer's list of last night", popularity: "no model, or no time for it: by popularity",
  snapshot: "the store is away: the last known sales, by popularity", empty: "no sale is open here",
};
const WITH_COVER = new Set(["impression", "click"]);
const DEVICES = ["mobile", "desktop", "tablet"];
// The detail of the service names its store, which is for operators.
const said = (error) => (error.code === "store_unavailable" ? "the store is away: try again later" : error.message);
const addressOf = (visit) => `#${new URLSearchParams(visit)}`;

const dialog = document.getElementById("dialog");
const shop = { customers: [], markets: [], devices: DEVICES, variants: [] };
const windows = [];

const id = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

class Window {
  constructor(name, visit) {
    this.name = name;
    this.visit = visit;
    this.session = id();
    this.before = null;
    this.sales = new Map();
    this.titles = new Map();
    this.turn = 0;
    this.page = h("div.page");
    this.side = h("aside.side", { "aria-label": `What is known of the customer, page ${name}`, tabIndex: 0 });
    this.controls = h("form.controls", { "aria-label": `Customer of page ${name}`, on: { submit: (event) => event.preventDefault() } });
    this.node = h("section.window", { "aria-label": `Page ${name}` }, this.controls, this.page, this.side);
    this.showControls();
  }

  fields() {
    return { customer_id: this.visit.customer, market: this.visit.market || undefined, device: this.visit.device,
      session_id: this.session, variant: this.visit.variant ? [this.visit.variant] : undefined };
  }

  showControls() {
    const choice = (label, name, options, className = "") => h(`label${className}`, {}, label,
      h("select", { name, on: { change: (event) => this.choose(name, event.target.value) } },
        options.map(([value, text]) => h("option", { value, selected: value === this.visit[name] }, text))));
    const known = shop.customers.map((one) => [one.customer_id,
      `${one.customer_id}: ${KINDS[one.kind] ?? plural(one.n_purchases, "purchase")}, ${plural(one.n_events, "event")}`]);
    if (!known.some(([value]) => value === this.visit.customer)) known.unshift([this.visit.customer, `${this.visit.customer}: made up here`]);
    const markets = [...new Set([...shop.markets, this.visit.market])].filter(Boolean);
    replace(this.controls,
      choice("Customer", "customer", known, ".who"),
      h("button", { type: "button", on: { click: () => this.choose("customer", `visitor-${id().slice(0, 8)}`) } }, "Someone new"),
      choice("Market", "market", [...markets.map((one) => [one, one]), ["", "all"]]),
      choice("Device", "device", shop.devices.map((one) => [one, one])),
      shop.variants.length > 0 && choice("Variant", "variant", [["", "as assigned"], ...shop.variants.map((one) => [one, one.replace(":", ": ")])]));
  }

  choose(name, value) {
    const visit = { ...this.visit, [name]: value };
    const known = shop.customers.find((one) => one.customer_id === value);
    if (name === "customer" && known) {
      visit.market = known.market ?? visit.market;
      visit.device = known.device ?? visit.device;
    }
    // Each choice is an entry of the history, so that the way back leads to the one before.
    if (this === windows[0]) history.pushState(null, "", addressOf(visit));
    return this.take(visit);
  }

  take(visit) {
    const isSame = visit.customer === this.visit.customer;
    if (!isSame || visit.market !== this.visit.market) this.before = null;
    if (!isSame) this.session = id();
    this.visit = visit;
    this.showControls();
    return this.load();
  }

  async load() {
    // A slower answer to an earlier choice must not replace this one.
    this.turn += 1;
    const turn = this.turn;
    try {
      const asked = call(`v1/customers/${part(this.visit.customer)}`);
      asked.catch(() => {});
      const page = await call("v1/pages", { method: "POST", body: { ...this.fields(), fields: FIELDS, explain: true, rows: ROWS } });
      for (const item of page.rows.flatMap((row) => row.items)) this.sales.set(item.sale_id, { sale_id: item.sale_id, ...item.sale });
      if (turn !== this.turn) return;
      // Without the store there is a page, and nothing that is known of the customer.
      this.show(page);
      const known = await asked.catch((error) => error);
      if (!(known instanceof Error)) await this.titlesOf(known.events);
      if (turn !== this.turn) return;
      if (known instanceof Error) replace(this.side, h("h2", {}, "What is known"), h("p.problem", {}, said(known)));
      else this.showSide(known, page);
    } catch (error) {
      if (turn !== this.turn) return;
      if (error instanceof Problem && [401, 403].includes(error.status)) askForKey(error.message);
      replace(this.page, h("p.problem", {}, said(error)));
      replace(this.side);
    }
  }

  // Titles of the latest sales that are open no more.
  async titlesOf(events) {
    const ids = new Set(events.slice(-N_NAMED).map((event) => event.sale_id).filter((one) => one && !this.sales.has(one)));
    for (const [one, sale] of await salesOf(ids)) this.titles.set(one, titleOf(sale));
  }

  show(page) {
    const most = Math.max(0, ...page.rows.flatMap((row) => row.items).map((item) => item.purchase_probability ?? 0));
    const focused = document.activeElement?.closest?.("[data-sale]");
    const kept = focused && this.page.contains(focused) && [focused.dataset.sale, document.activeElement.dataset.act];
    const titles = { first: `Picked for ${this.visit.customer}`, soon: "Closing soon, best first" };
    replace(this.page, page.rows.filter((row) => row.items.length).map((row) => this.row(
      row, titles[row.name] ?? `Because they ${BECAUSE[row.name]} “${row.because_of?.sale ? titleOf(row.because_of.sale) : "a sale"}”`, page, most)));
    this.before = new Map(page.rows[0].items.map((item) => [item.sale_id, item.rank]));
    if (kept) this.focusOn(...kept);
  }

  focusOn(sale, act) {
    const card = this.page.querySelector(`[data-sale="${CSS.escape(sale)}"]`);
    (card?.querySelector(act ? `[data-act="${act}"]` : ".title button") ?? this.page.querySelector("h2"))?.focus();
  }

  row(row, title, page, most) {
    const cards = row.items.map((item) => card(item, this.sales.get(item.sale_id), {
      before: row.name === "first" ? this.before : null, most,
      act: (one, chosen, sale) => this.act(one, chosen, sale, page),
      open: (chosen, sale) => this.open(chosen, sale, page),
    }));
    cards.forEach((node, at) => whenSeen(node, () => this.seen(row.items[at], page)));
    return h("section.row", { "data-row": row.name }, h("header", {}, h("h2", { tabIndex: -1 }, title), row.name === "first" && state(page)), h("ul.cards", {}, cards));
  }

  event(type, item, slate) {
    const sale = this.sales.get(item.sale_id);
    return { event_id: id(), customer_id: this.visit.customer, session_id: this.session, type, sale_id: item.sale_id,
      at: new Date().toISOString(), exposure_id: slate.recommendation_id, position: item.rank,
      cover: WITH_COVER.has(type) ? item.cover ?? undefined : undefined,
      market: this.visit.market || undefined, device: this.visit.device, price: sale?.price ?? undefined };
  }

  async send(events) {
    const answer = await call("v1/events", { method: "POST", body: { events } });
    const refused = answer.results.find((one) => !["accepted", "duplicate"].includes(one.status));
    if (refused) throw new Problem(409, { detail: `the event was not taken: ${refused.detail ?? refused.reason}` });
  }

  async seen(item, slate) {
    await this.send([this.event("impression", item, slate)]).catch(() => {});
  }

  async open(item, sale, slate) {
    saleDialog(dialog, item, sale, (one) => this.act(one, item, sale, slate));
    // The card that opened it may have been made anew meanwhile.
    dialog.addEventListener("close", () => this.focusOn(item.sale_id), { once: true });
    await this.after([this.event("click", item, slate)], `Opened: ${titleOf(sale)}`);
  }

  async act(one, item, sale, slate) {
    await this.after([this.event(one.type, item, slate)], `${titleOf(sale)}: ${one.done}`);
  }

  async after(events, text) {
    try {
      await this.send(events);
      const before = this.before;
      await this.load();
      const moved = [...this.before].filter(([sale, rank]) => before?.get(sale) !== rank).length;
      announce(`${text}. ${moved} of ${this.before.size} places of the first row changed.`);
    } catch (error) {
      announce(said(error));
    }
  }

  showSide(known, slate) {
    const assigned = slate.assignments.map((one) => `${one.experiment}: ${one.variant}${one.forced ? " (forced)" : ""}`).join(", ");
    const events = known.events.toReversed();
    replace(this.side,
      h("h2", {}, "What is known"),
      h("dl.facts", {},
        h("dt", {}, "Customer"), h("dd", {}, this.visit.customer),
        h("dt", {}, "Events"), h("dd", {}, `${events.length} kept, ${known.shown.length} sales shown`),
        h("dt", {}, "Variant"), h("dd", {}, assigned || "no experiment"),
        h("dt", {}, "Bundle"), h("dd", {}, slate.bundle ?? "none")),
      events.length > 0
        ? h("ol.events", { reversed: true }, events.slice(0, N_NAMED).map((event) => h("li", {},
          h(`span.chip${event.type === "purchase" ? ".good" : event.type === "dislike" ? ".bad" : ""}`, {}, event.type),
          h("span.what", {}, (this.sales.has(event.sale_id) ? titleOf(this.sales.get(event.sale_id)) : this.titles.get(event.sale_id)) ?? event.sale_id ?? "a sale of the past"),
          h("time", { dateTime: event.at }, ago(event.at)))))
        : h("p.quiet", {}, "Nothing yet. Open, like or buy something, and see the page change."),
      events.length > 0 && h("button.danger", { type: "button", on: { click: () => this.forget() } }, "Forget this customer"));
  }

  async forget() {
    try {
      await call(`v1/customers/${part(this.visit.customer)}`, { method: "DELETE" });
      announce(`Everything about ${this.visit.customer} is erased.`);
      await this.load();
    } catch (error) {
      announce(said(error));
    }
  }
}

function state(slate) {
  if (slate.degraded) return h("span.chip.warn", {}, `degraded: ${slate.degraded} (${LEVELS[slate.degraded]})`);
  return h("span.quiet", {}, slate.unmet_rules?.length ? `rules not met: ${slate.unmet_rules.join(", ")}` : "");
}

function askForKey(reason) {
  if (dialog.open) return;
  const field = h("input", { type: "password", name: "key", required: true, autocomplete: "off" });
  replace(dialog, h("form.detail", { method: "dialog", on: { submit: () => { key.set(field.value.trim()); start(); } } },
    h("h2", { id: "dialog-title" }, "This service asks for a key"), h("p", {}, reason),
    h("p.quiet", {}, "The page needs the scopes read, events, sales, customers and inspect. The key stays in this tab."),
    h("label", {}, "Key", field), h("button.main", { type: "submit" }, "Use it")));
  dialog.showModal();
}

function showWindows() {
  const node = document.getElementById("windows");
  node.className = windows.length > 1 ? "two" : "one";
  replace(node, windows.map((one) => one.node));
}

function compare(button) {
  const isOn = windows.length === 1;
  button.setAttribute("aria-pressed", String(isOn));
  if (isOn) {
    const first = windows[0].visit;
    const other = shop.variants.find((one) => one !== first.variant && !one.endsWith(":meta")) ?? "";
    windows.push(new Window("B", { ...first, variant: other }));
    windows[1].load();
  } else {
    windows.pop();
  }
  showWindows();
}

// The visit of the address, or that of a customer who buys often; the address is corrected.
function addressed() {
  const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const first = shop.customers.find((one) => one.kind === "buys" && one.market === shop.markets[1]) ?? shop.customers[0];
  const otherwise = first ? { ...first, customer: first.customer_id } : { customer: `visitor-${id().slice(0, 8)}`, market: shop.markets[0] };
  const { customer, market, device } = asked.customer ? asked : otherwise;
  const visit = { customer, market: market ?? "", device: shop.devices.includes(device) ? device : "mobile",
    variant: shop.variants.includes(asked.variant) ? asked.variant : "" };
  history.replaceState(null, "", addressOf(visit));
  return visit;
}

async function start() {
  const optional = (asked, otherwise) => asked.catch((error) => {
    if (error.status === 401) throw error;
    return otherwise;
  });
  try {
    const [customers, plan, front, markets] = await Promise.all([
      optional(call("demo/customers"), { items: [] }), optional(call("v1/plan"), {}),
      optional(call("web"), { pages: [] }), openMarkets()]);
    shop.customers = customers.items;
    shop.markets = markets;
    shop.devices = [...new Set([...DEVICES, ...customers.items.map((one) => one.device)])].filter(Boolean);
    shop.variants = (plan.experiments ?? []).filter((one) => one.kind !== "interleaving" && !(Date.parse(one.ends_at) < Date.now()))
      .flatMap((one) => one.variants.map((variant) => `${one.name}:${variant.name}`));
    const links = front.pages.filter((page) => page !== "/demo").map((page) => h("a", { href: page.slice(1) }, page === "/docs" ? "API" : "Insight"));
    replace(document.getElementById("links"), links);
  } catch (error) {
    askForKey(error.message);
    return;
  }
  windows.splice(0, windows.length, new Window("A", addressed()));
  showWindows();
  for (const button of document.querySelectorAll(".actions button")) button.disabled = false;
  await windows[0].load();
}

document.getElementById("compare").addEventListener("click", (event) => compare(event.currentTarget));
document.getElementById("new-sale").addEventListener("click", () => newSaleDialog(dialog,
  () => ({ ...windows[0].fields() }), () => Promise.all(windows.map((one) => one.load()))));
addEventListener("popstate", () => windows[0]?.take(addressed()));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
start();
