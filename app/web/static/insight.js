// Insight: parts of one page, chosen by the address, each from the API with the visitor's key.

import { call, key } from "./api.js";
import { h, replace } from "./dom.js";
import { bundles } from "./insight/bundles.js";
import { customer } from "./insight/customer.js";
import { drift } from "./insight/drift.js";
import { experiments } from "./insight/experiments.js";
import { nights } from "./insight/nights.js";
import { rules } from "./insight/rules.js";
import { sales } from "./insight/sales.js";
import { topics } from "./insight/topics.js";
import { traffic } from "./insight/traffic.js";

const PARTS = {
  traffic: ["Traffic", traffic, "metrics"],
  sales: ["Sales", sales, "sales, inspect"],
  topics: ["Topics", topics, "sales, inspect"],
  customer: ["Customer", customer, "customers, sales, inspect"],
  experiments: ["Experiments", experiments, "inspect"],
  rules: ["Rules", rules, "rules, metrics"],
  drift: ["Drift", drift, "metrics"],
  bundles: ["Bundles", bundles, "inspect; admin to change"],
  nights: ["Nights", nights, "inspect"],
};

const main = document.getElementById("main");
const tabs = document.getElementById("tabs");
let current = null;
let pages = [];

const chosen = () => {
  const [name, argument] = location.hash.slice(1).split("/");
  return [PARTS[name] ? name : "traffic", decodeURIComponent(argument ?? "")];
};

function keyForm(error, scopes) {
  const field = h("input", { type: "password", name: "key", required: true, autocomplete: "off" });
  replace(main, h("form.panel", { on: { submit: (event) => { event.preventDefault(); key.set(field.value.trim()); show(); } } },
    h("h2", {}, error.status === 403 ? "This key opens something else" : key.get() ? "This key is not valid, or not any more" : "This service asks for a key"), h("p", {}, error.message),
    h("p.quiet", {}, `This part needs the scope insight, or ${scopes}. The key stays in this tab.`), h("label", {}, "Key", field), h("div.actions", {}, h("button.main", { type: "submit" }, "Use it"))));
}

function links() {
  const names = { "/demo": "Shop window", "/docs": "API" };
  replace(document.getElementById("links"), pages.filter((page) => names[page]).map((page) => h("a", { href: page.slice(1) }, names[page])),
    key.get() && h("button", { type: "button", on: { click: () => { key.set(""); location.reload(); } } }, "Forget the key"));
}

async function show() {
  links();
  const [name, argument] = chosen();
  const [title, part, scopes] = PARTS[name];
  current?.stop?.();
  document.title = `${title} – Insight – Vitrine`;
  replace(tabs, Object.entries(PARTS).map(([one, [label]]) => h("a", { href: `#${one}`, "aria-current": one === name && "page" }, label)));
  tabs.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  replace(main);
  // What a part cannot do without a key ends in the form for one, else in a message at its place.
  const failed = (node, error) => ([401, 403].includes(error.status) ? keyForm(error, scopes) : replace(node, h("p.problem", {}, error.message)));
  const shown = part(main, { argument, failed, hasPictures: pages.includes("/demo"), go: (one, text) => history.replaceState(null, "", `#${one}/${encodeURIComponent(text)}`) });
  current = shown;
  try {
    await shown.ready;
  } catch (error) {
    if (current !== shown) return;
    shown.stop?.();
    if ([401, 403].includes(error.status)) keyForm(error, scopes);
    else main.append(h("p.problem", {}, error.message));
  }
}

async function start() {
  pages = await call("web").then((found) => found.pages, () => []);
  await show();
}

addEventListener("hashchange", show);
start();
