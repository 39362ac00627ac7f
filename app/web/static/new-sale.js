// A new sale: its picture is labelled, and the visitor sees where it is placed.

import { call, part } from "./api.js";
import { h, replace } from "./dom.js";
import { choosePicture, forgetDetail, openSales, percent } from "./sales.js";

const DAY_MS = 86_400_000;
// As many candidates as one call ranks.
const N_RANKED = 1000;
const TRIES = 12;
// Every worker has a picture within a second.
const PICTURE_MS = 1200;

function saleOf(form, market) {
  const value = (name) => form.elements.namedItem(name).value.trim();
  const now = Date.now();
  return {
    title: value("title"), destination: value("destination") || null, category: "hotel", currency: "EUR",
    price: Number(value("price")), original_price: Number(value("original_price")) || null,
    markets: market ? [market] : null, stock: 50,
    opens_at: new Date(now - 60_000).toISOString(), closes_at: new Date(now + 3 * DAY_MS).toISOString(),
  };
}

async function placed(saleId, visit) {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const { sales } = await openSales(visit.market);
    const others = sales.map((sale) => sale.sale_id).filter((one) => one !== saleId);
    const candidates = [saleId, ...others.slice(1 - N_RANKED)];
    const answer = await call("v1/rank", { method: "POST", body: { ...visit, candidates, explain: false } });
    const item = answer.items.find((one) => one.sale_id === saleId);
    if (item) return { item, n: answer.items.length };
    await new Promise((done) => setTimeout(done, 400));
  }
  return null;
}

async function put(form, visit, said) {
  const file = form.elements.namedItem("picture").files[0];
  const saleId = `new-${Date.now().toString(36)}`;
  await call(`v1/sales/${part(saleId)}`, { method: "PUT", body: saleOf(form, visit.market) });
  let seen = null;
  if (file) {
    replace(said, h("p", {}, "The picture is being labelled …"));
    seen = await call(`v1/sales/${part(saleId)}/image`, { method: "PUT", body: file, type: file.type });
    choosePicture(saleId, file);
    forgetDetail(saleId);
    await new Promise((done) => setTimeout(done, PICTURE_MS));
  }
  replace(said, h("p", {}, "It is being placed …"));
  const place = await placed(saleId, visit);
  replace(said, h("div.placed", {},
    h("h3", {}, place
      ? `Place ${place.item.rank} of ${place.n} for ${visit.customer_id ?? "someone new"}, ${percent(place.item.purchase_probability, 2)} likely`
      : "It is stored, and will be placed within seconds."),
    seen && h("p.topics", {}, seen.labels.filter((one) => one.share >= 0.01).map((one) => h("span.chip", {}, `${one.label.replaceAll("_", " ")} ${percent(one.share, 0)}`))),
    seen?.unlike && h("p", {}, "The picture is like no scene that the model knows, so the labels mean little.")));
}

export function newSaleDialog(dialog, visit, refresh) {
  const said = h("div", { role: "status" });
  const field = (name, label, props) => h("label", {}, label, h("input", { name, ...props }));
  const form = h("form.form", { on: { submit: async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.main");
    button.disabled = true;
    try {
      await put(form, visit(), said);
      await refresh();
    } catch (error) {
      replace(said, h("p.problem", {}, error.message));
    } finally {
      button.disabled = false;
    }
  } } },
  h("div.wide", {}, field("title", "Title", { required: true, maxLength: 200, value: "Three nights by the sea" })),
  field("destination", "Destination", { maxLength: 100, value: "Bergen" }),
  field("price", "Price in EUR", { type: "number", required: true, min: 1, step: "any", value: "249" }),
  field("original_price", "Price before", { type: "number", min: 1, step: "any", value: "420" }),
  h("div.wide", {}, field("picture", "Picture (JPEG, PNG or WebP)", { type: "file", accept: "image/jpeg,image/png,image/webp" })),
  h("div.wide.actions", {}, h("button.main", { type: "submit" }, "Put it up"),
    h("button", { type: "button", on: { click: () => dialog.close() } }, "Close")));
  replace(dialog, h("div.detail", {}, h("h2", { id: "dialog-title" }, "A new sale"),
    h("p.quiet", {}, "No customer has seen it yet: all that is known of it are its picture, its price and its words."), form, said));
  dialog.showModal();
}
