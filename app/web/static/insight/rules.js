// Rules of a merchandiser: what they are about now, what they cost, and their text to change.

import { call } from "../api.js";
import { announce, h, replace } from "../dom.js";
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
  return `${lost >= 0 ? "" : "−"}${Math.abs(lost).toFixed(2)} (${one.answers} answers)`;
}

const ACTIONS = {
  exclude: [], only: [], boost: [["odds", 1.5]], pin: [["rank", 1]], at_most: [["n", 3]], at_least: [["n", 2]],
};

// A rule by its parts, added to the text at the end: nothing changes before it is put.
function builder(add) {
  const field = (name, label, props) => h("label", {}, label, h("input", { name, ...props }));
  const number = field("number", "Number", { type: "number", step: "any", min: 0, disabled: true });
  const kind = h("select", { name: "kind", on: { change: () => {
    const [first] = ACTIONS[kind.value];
    const input = number.querySelector("input");
    input.disabled = !first;
    input.value = first ? first[1] : "";
  } } }, Object.keys(ACTIONS).map((name) => h("option", { value: name }, name.replace("_", " "))));
  const form = h("form.panel", { on: { submit: (event) => {
    event.preventDefault();
    const value = (name) => form.elements.namedItem(name).value.trim();
    const action = { kind: kind.value };
    for (const [name] of ACTIONS[kind.value]) action[name] = Number(value("number"));
    const rule = { name: value("name"), action };
    for (const name of ["when", "where"]) if (value(name)) rule[name] = value(name);
    add(rule);
  } } }, h("h3", {}, "Write one"), h("div.controls", {},
    field("name", "Name", { required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", maxLength: 128, placeholder: "ski-in-winter" }), h("label", {}, "Action", kind), number,
    field("where", "Of which sales", { placeholder: 'category == "ski" and price < 500', size: 34 }), field("when", "On which visits", { placeholder: 'market == "fr"', size: 18 }),
    h("button", { type: "submit" }, "Add it to the text")));
  return form;
}

export function rules(main) {
  const list = h("div");
  const text = h("textarea", { "aria-label": "All rules as JSON", spellcheck: false, disabled: true });
  const said = h("div", { role: "status" });
  const form = h("form.panel", { on: { submit: save } }, h("h3", {}, "Change them"),
    h("p.quiet", {}, "The order is the precedence. All rules are taken, or none."), text, said, h("div.actions", {}, h("button.main", { type: "submit" }, "Put these rules")));
  replace(main, h("header", {}, h("h2", {}, "Rules"), h("p.quiet", {}, "Every answer obeys them. The price is the model's own expectation for each 1,000 answers, counted in one answer of twenty.")), list, builder((rule) => {
    try {
      text.value = JSON.stringify([...JSON.parse(text.value || "[]"), rule], null, 2);
      announce("It is in the text; put the rules to have it hold.");
      text.focus();
    } catch (error) {
      replace(said, h("p.problem", {}, `The text is no JSON: ${error.message}`));
    }
  }), form);

  function show({ items }, costs) {
    replace(list, h("section.panel", {}, items.length
      ? table("Rules by precedence", ["Rule", "When", "Where", "Action", "Now", { text: "Outcomes lost per 1,000", number: true }], items.map(({ rule, holds, n_matching: n, warnings }) => h("tr", {},
        h("td", {}, h("strong", {}, rule.name), rule.dry_run && h("span.chip.warn", {}, "dry run")), h("td", {}, rule.when ? h("code", {}, rule.when) : "always"), h("td", {}, rule.where ? h("code", {}, rule.where) : "all sales"), h("td", {}, action(rule.action)),
        h("td", {}, h(`span.chip${holds ? ".good" : ""}`, {}, holds ? `holds for ${n} sales` : "does not hold now"), warnings.map((one) => h("p.quiet", {}, one))), h("td.number", {}, price(costs.get(rule.name))))))
      : h("p.quiet", {}, "No rules. For example: exclude, pin, boost, at most, at least.")));
    text.disabled = false;
    text.value = JSON.stringify(items.map((one) => one.rule), null, 2);
  }

  async function save(event) {
    event.preventDefault();
    try {
      show(await call("v1/rules", { method: "PUT", body: { items: JSON.parse(text.value) } }), new Map());
      replace(said);
      announce("The rules hold on every worker within a second.");
    } catch (error) {
      replace(said, h("p.problem", {}, error instanceof SyntaxError ? `This is no JSON: ${error.message}` : error.message));
    }
  }

  async function load() {
    const [found, metrics] = await Promise.all([call("v1/rules"), call("metrics", { text: true }).catch(() => "")]);
    show(found, prices(metrics));
  }
  return { ready: load() };
}
