// Cards of the shop window, and the window of one sale.

import { h, replace } from "./dom.js";
import { closing, detail, discount, groupName, money, percent, picture, titleOf } from "./sales.js";

export const ACTS = [
  { type: "purchase", label: "Buy", done: "bought", className: "buy" },
  { type: "favourite", label: "Like", icon: "♥", done: "liked", className: "" },
  { type: "dislike", label: "Not for me", icon: "✕", done: "turned down", className: "" },
];

function mover(item, before) {
  if (!before) return null;
  const was = before.get(item.sale_id);
  if (was === undefined) return h("span.moved", {}, "new here");
  if (was === item.rank) return null;
  const up = was > item.rank;
  return h(`span.moved.${up ? "up" : "down"}`, {}, `${up ? "▲" : "▼"} ${Math.abs(was - item.rank)}`,
    h("span.hidden", {}, up ? " places up" : " places down"));
}

export function chance(item, most) {
  if (item.purchase_probability === null) return h("p.chance", {}, "ranked without the model");
  const width = most ? Math.max(2, (100 * item.purchase_probability) / most) : 0;
  return h("p.chance", { title: "The bar compares it with the likeliest sale of this page" }, h("span.meter", { "aria-hidden": "true" }, h("i", { css: { width: `${width}%` } })),
    h("span", {}, `${percent(item.purchase_probability)} likely`));
}

// Which of its pictures stands for the sale, where it was chosen for the customer.
function chosenPicture(item) {
  const text = h("span.chip.cover", {}, `picture ${item.cover}`);
  if (item.cover === null) return null;
  detail(item.sale_id).then((found) => { text.textContent = `picture ${item.cover} of ${found.pictures.length}`; }, () => {});
  return text;
}

function placed(item) {
  return item.rules?.length > 0 && h("p.quiet", {}, h("span.chip", {}, `placed by ${item.rules.join(", ")}`));
}

export function card(item, sale, { before, most, act, open }) {
  const off = discount(sale);
  const until = closing(sale);
  const title = titleOf(sale);
  const topics = h("p.topics");
  detail(sale.sale_id).then(
    (found) => replace(topics, (found.picture?.topics ?? []).slice(0, 2).filter((one) => one.percent >= 10)
      .map((one) => h("span.chip", {}, one.topic))),
    () => {},
  );
  return h("li", {}, h("article.card", { "data-sale": sale.sale_id },
    h("div.picture", {}, picture(sale, item.cover), chosenPicture(item), off && h("span.off", {}, `−${off}%`), mover(item, before)),
    h("div.text", {},
      h("p.place", {}, [sale.destination, sale.country].filter(Boolean).join(", ") || " "),
      h("h3.title", {}, h("button", { type: "button", on: { click: () => open(item, sale) } }, title)),
      h("p.money", {}, h("span.price", {}, money(sale.price, sale.currency)),
        off && h("s", {}, h("span.hidden", {}, "instead of "), money(sale.original_price, sale.currency)),
        h(`span.closes${until.isSoon ? ".soon" : ""}`, {}, until.text)),
      chance(item, most),
      item.explanation ? h("p.why", {}, item.explanation.sentence) : placed(item) || h("p.why"),
      topics),
    h("div.acts", {}, ACTS.map((one) => h(`button.${one.className}`, {
      type: "button", "data-act": one.type, "aria-label": `${one.label}: ${title}`, title: one.label,
      on: { click: () => act(one, item, sale) },
    }, one.icon ?? one.label)))));
}

const N_FACTORS = 7;

export function contributions(explanation) {
  const byStrength = explanation.contributions.toSorted((a, b) => Math.abs(b.log_odds) - Math.abs(a.log_odds));
  const others = byStrength.slice(N_FACTORS).reduce((sum, one) => sum + one.log_odds, 0);
  const shown = [...byStrength.slice(0, N_FACTORS), { group: "all others together", log_odds: others }].filter((one) => Math.abs(one.log_odds) >= 0.005);
  const most = Math.max(0.01, ...shown.map((one) => Math.abs(one.log_odds)));
  return h("div.bars", {}, shown.map((one) => {
    const width = (50 * Math.abs(one.log_odds)) / most;
    const left = one.log_odds < 0 ? 50 - width : 50;
    return [
      h("span", {}, groupName(one.group)),
      h("span.track", { "aria-hidden": "true" },
        h(`i${one.log_odds < 0 ? ".against" : ""}`, { css: { left: `${left}%`, width: `${width}%` } })),
      h("span.number", {}, `× ${Math.exp(one.log_odds).toFixed(2)}`),
    ];
  }));
}

export function saleDialog(dialog, item, sale, act) {
  const [labels, words] = [h("p.topics"), h("p")];
  detail(sale.sale_id).then((found) => {
    words.textContent = found.sale.description ?? "";
    const known = (found.picture?.labels ?? []).slice(0, 4).filter((one) => one.share >= 0.01);
    replace(labels, known.map((one) => h("span.chip", {}, `${one.label.replaceAll("_", " ")} ${percent(one.share, 0)}`)));
  }, () => {});
  const close = () => dialog.close();
  const off = discount(sale);
  replace(dialog, h("div.detail", {},
    h("div.picture", {}, picture(sale, item.cover), chosenPicture(item)),
    h("header", {}, h("div", {},
      h("p.place", {}, [sale.destination, sale.country].filter(Boolean).join(", ")),
      h("h2", { id: "dialog-title" }, titleOf(sale))),
    h("button", { type: "button", on: { click: close } }, "Close")),
    words,
    h("p.money", {}, h("span.price", {}, money(sale.price, sale.currency)),
      off && [h("s", {}, h("span.hidden", {}, "instead of "), money(sale.original_price, sale.currency)), h("span.chip", {}, `−${off}%`)],
      h("span.closes", {}, closing(sale).text)),
    labels,
    item.explanation && h("section", {}, h("h3", {}, "Why it is shown"),
      h("p.why", {}, item.explanation.sentence),
      h("p.quiet", {}, `The average sale has ${percent(1 / (1 + Math.exp(-item.explanation.base)), 2)}; this customer has ${percent(item.purchase_probability, 2)} here. Factors of the odds, p / (1 − p):`),
      contributions(item.explanation)),
    h("div.actions", {}, [...ACTS, { type: "cart", label: "Add to cart", done: "put into the cart", className: "" }]
      .map((one) => h(`button${one.type === "purchase" ? ".main" : ""}`, {
        type: "button", on: { click: () => { close(); act(one, item, sale); } },
      }, one.label)))));
  dialog.showModal();
}
