// Rules of a merchandiser: what they are about now, what they cost, and their text to change.

import { call } from "../api.js";
import { announce, h, moment, replace } from "../dom.js";
import { openSales, plural, titleOf } from "../sales.js";
import { table } from "./charts.js";
import { parse } from "./metrics.js";

export function prices(text) {
  const found = new Map();
  for (const { name, labels, value } of parse(text, /^vitrine_(priced_answers|rule_outcomes)_total\{/)) {
    const one = found.get(labels.rule) ?? { answers: 0, lost: 0 };
    if (name === "vitrine_priced_answers_total") one.answers += value;
    else one.lost += (labels.outcome === "lost" ? 1 : -1) * value;
    found.set(labels.rule, one);
  }
  return found;
}

function action({ kind, ...fields }) {
  const words = Object.entries(fields).map(([name, value]) => `${name} ${value}`).join(", ");
  return `${kind.replace("_", " ")}${words ? ` (${words})` : ""}`;
}

function price(one) {
  if (!one?.answers) return h("span.quiet", {}, "not priced yet");
  const lost = (1000 * one.lost) / one.answers;
  return `${lost >= 0 ? "" : "−"}${Math.abs(lost).toFixed(2)} (${plural(one.answers, "answer")})`;
}

// The number of an action: its name, how it is asked for, and its bounds, which are those of the API.
const NUMBERS = {
  boost: ["odds", "Times the odds (below 1 buries)", { min: 0.001, max: 1000, step: "any", value: 1.5 }],
  pin: ["rank", "Rank (1 is the first)", { min: 1, max: 100, step: 1, value: 1 }],
  at_most: ["n", "At most so many in a list", { min: 0, max: 100, step: 1, value: 3 }],
  at_least: ["n", "At least so many in a list", { min: 1, max: 100, step: 1, value: 2 }],
  share: ["of", "Share of impressions (0.2 is 20%)", { min: 0.001, max: 0.999, step: "any", value: 0.2 }],
};
const KINDS = { exclude: "exclude", only: "only", boost: "boost or bury", pin: "pin", at_most: "at most", at_least: "at least", share: "share" };

// Times are typed and shown in the browser's zone, and put in UTC.
const utc = (typed) => new Date(typed).toISOString();

function times(rule) {
  const said = [rule.starts_at && `from ${moment(rule.starts_at)}`, rule.ends_at && `until ${moment(rule.ends_at)}`].filter(Boolean);
  return said.length > 0 && h("p.quiet", {}, said.join(" "));
}

// A rule by its parts, added to the text at the end: nothing changes before it is put.
function builder(add) {
  const field = (name, label, props) => h("label", {}, label, h("input", { name, ...props }));
  const number = h("span.controls");
  const kind = h("select", { name: "kind", on: { change: () => {
    const [, label, bounds] = NUMBERS[kind.value] ?? [];
    replace(number, label && field("number", label, { type: "number", required: true, ...bounds }));
  } } }, Object.entries(KINDS).map(([value, label]) => h("option", { value }, label)));
  const known = h("datalist", { id: "open-sales" });
  openSales("").then(({ sales }) => replace(known, sales.map((sale) => h("option", { value: sale.sale_id, label: titleOf(sale) }))), () => {});
  const where = field("where", "Of which sales", { placeholder: 'category == "ski" and price < 500', maxLength: 1000, size: 34 });
  const one = field("sale", "or of one sale", { placeholder: "title or id", on: { change: (event) => {
    if (event.target.value) where.querySelector("input").value = `sale_id == ${JSON.stringify(event.target.value)}`;
  } } });
  one.querySelector("input").setAttribute("list", "open-sales");
  const form = h("form.panel", { on: { submit: (event) => {
    event.preventDefault();
    const value = (name) => form.elements.namedItem(name).value.trim();
    const action = { kind: kind.value };
    if (NUMBERS[kind.value]) action[NUMBERS[kind.value][0]] = Number(value("number"));
    const rule = { name: value("name"), action };
    for (const name of ["when", "where"]) if (value(name)) rule[name] = value(name);
    for (const name of ["starts_at", "ends_at"]) if (value(name)) rule[name] = utc(value(name));
    if (form.elements.namedItem("dry_run").checked) rule.dry_run = true;
    add(rule);
  } } }, h("h3", {}, "Write one"),
    h("p.quiet", {}, "To know its price before it holds: put it as a dry run, read the price above after some answers, then take dry_run out of the text."), h("div.controls", {},
    field("name", "Name", { required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", maxLength: 128, placeholder: "ski-in-winter", title: "Letters, digits, dot, underscore and hyphen, no blanks; the first is a letter or a digit" }), h("label", {}, "Action", kind), number,
    where, one, known, field("when", "On which visits", { placeholder: 'market == "fr"', maxLength: 1000, size: 18 }),
    field("starts_at", "From (unset: now)", { type: "datetime-local" }), field("ends_at", "Until (unset: no end)", { type: "datetime-local" }),
    h("label.check", {}, h("input", { name: "dry_run", type: "checkbox" }), "Dry run: price it, change no answer"),
    h("button", { type: "submit", disabled: true }, "Add it to the text")));
  return form;
}

export function rules(main, context) {
  const list = h("div");
  const text = h("textarea", { "aria-label": "All rules as JSON", spellcheck: false, disabled: true });
  const said = h("div", { role: "status" });
  const write = builder((rule) => {
    try {
      text.value = JSON.stringify([...JSON.parse(text.value || "[]"), rule], null, 2);
      announce("It is in the text; put the rules to have it hold.");
      text.focus();
    } catch (error) {
      replace(said, h("p.problem", {}, `The text is no JSON: ${error.message}`));
    }
  });
  const form = h("form.panel", { on: { submit: save } }, h("h3", {}, "Change them"),
    h("p.quiet", {}, "The order is the precedence. All rules are taken, or none."), text, said, h("div.actions", {}, h("button.main", { type: "submit", disabled: true }, "Put these rules")));
  replace(main, h("header", {}, h("h2", {}, "Rules"), h("p.quiet", {}, "Every answer obeys them. The price is the model's own expectation: outcomes of its objective, as purchases, lost per 1,000 answers in which the rule holds; below 0 they are gained. One answer of twenty is counted, since the workers of this machine began.")), list, write, form);

  async function show({ items }) {
    const costs = prices(await call("metrics", { text: true }).catch(() => ""));
    replace(list, h("section.panel", {}, items.length
      ? table("Rules by precedence", ["Rule", "Now", { text: "Lost per 1,000", number: true }, "Of which sales", "On which visits"], items.map(({ rule, holds, n_matching: n, warnings }) => h("tr", {},
        h("td", {}, h("strong", {}, rule.name), rule.dry_run && [" ", h("span.chip.warn", {}, "dry run")], times(rule), h("p", {}, action(rule.action))),
        h("td", {}, h(`span.chip${holds ? ".good" : ""}`, {}, holds ? `holds for ${plural(n, "sale")}` : "does not hold now"), warnings.map((one) => h("p.quiet", {}, one))), h("td.number", {}, price(costs.get(rule.name))),
        h("td", {}, rule.where ? h("code", {}, rule.where) : "all sales"), h("td", {}, rule.when ? h("code", {}, rule.when) : "always"))))
      : h("p.quiet", {}, "No rules. For example: exclude, pin, boost, at most, at least.")));
    // What was not read cannot be replaced.
    for (const one of [write, form].flatMap((node) => [...node.querySelectorAll("[disabled]")])) one.disabled = false;
    text.value = JSON.stringify(items.map((one) => one.rule), null, 2);
  }

  async function save(event) {
    event.preventDefault();
    try {
      await show(await call("v1/rules", { method: "PUT", body: { items: JSON.parse(text.value) } }));
      replace(said);
      announce("The rules hold on every worker within a second.");
    } catch (error) {
      replace(said, h("p.problem", {}, error instanceof SyntaxError ? `This is no JSON: ${error.message}` : error.message));
    }
  }

  async function load() {
    try {
      await show(await call("v1/rules"));
    } catch (error) {
      context.failed(list, error);
      list.append(h("p.quiet", {}, "Nothing can be put before the rules are read."), h("button", { type: "button", on: { click: load } }, "Read them again"));
    }
  }
  return { ready: load() };
}
