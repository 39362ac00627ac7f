// Sales as the pages show them: money, times, pictures, and what is known of each.

import { call, part, query } from "./api.js";
import { h } from "./dom.js";

const details = new Map();
// Pictures that a visitor chose from their own disk: the service keeps labels, not files.
const chosen = new Map();

const N_READ = 5000;
// They turn the letters around them, too.
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const GROUPS = {
  taste: "their taste", audience: "people like them", content: "topics they open", collaborative: "others with the same history",
  text: "words of the offer", demographic: "market and device", popularity: "popularity now", session: "this visit",
  covisitation: "opened together with", images: "similar pictures", sale: "the offer itself", customer: "how active they are",
  context: "time of day", same_sale: "seen this sale before", position: "position on the page", list: "place in the given list", last_list: "the list they chose from",
  bestsellers: "chosen since it opened", buy_again: "bought before",
};

export const groupName = (group) => GROUPS[group] ?? group;

export const plural = (n, noun) => `${n.toLocaleString("en-GB")} ${noun}${n === 1 ? "" : "s"}`;

export function titleOf(sale) {
  return (sale.title ?? "").replaceAll(BIDI_CONTROLS, "").trim() || sale.sale_id;
}

export function money(amount, currency) {
  if (amount === null || amount === undefined) return "";
  const digits = amount >= 100 ? 0 : 2;
  if (!/^[A-Z]{3}$/.test(currency ?? "")) return amount.toFixed(digits);
  return new Intl.NumberFormat("en-GB", { style: "currency", currency, maximumFractionDigits: digits }).format(amount);
}

export function percent(share, digits = 1) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)}%`;
}

export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86400);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

export function closing(sale, now = Date.now()) {
  if (!sale.closes_at) return { text: "no closing time", isSoon: false };
  const hours = (Date.parse(sale.closes_at) - now) / 3.6e6;
  if (hours <= 0) return { text: "closed", isSoon: false };
  if (hours < 1) return { text: `closes in ${Math.max(1, Math.round(60 * hours))} min`, isSoon: true };
  if (hours < 48) return { text: `closes in ${hours < 1.5 ? "1 hour" : `${Math.round(hours)} hours`}`, isSoon: hours < 24 };
  return { text: `closes in ${Math.round(hours / 24)} days`, isSoon: false };
}

export function discount(sale) {
  if (!sale.price || !sale.original_price || sale.original_price <= sale.price) return null;
  return Math.round(100 * (1 - sale.price / sale.original_price));
}

export function choosePicture(saleId, file) {
  chosen.set(saleId, URL.createObjectURL(file));
}

// The picture that stands for a sale: of a number, which the dataset of the window may not have.
export function picture(sale, cover = null) {
  const first = chosen.get(sale.sale_id) ?? (sale.image ? `demo/pictures/${part(sale.sale_id)}` : null);
  const source = cover === null ? first : `demo/pictures/${part(sale.sale_id)}?number=${cover}`;
  const error = ({ target }) => (first && target.getAttribute("src") !== first ? target.setAttribute("src", first) : target.remove());
  // Beside its title a picture adds nothing that can be read out.
  return source && h("img", { src: source, alt: "", loading: "lazy", decoding: "async", on: cover === null ? {} : { error } });
}

// Open sales of a market, and whether they are all: of a large catalogue the first are read, in an
// order that has nothing to do with their markets.
export async function openSales(market) {
  const found = [];
  let cursor = null;
  do {
    const page = await call(query("v1/sales", { market, open: true, limit: 1000, cursor }));
    found.push(...page.items.map((item) => item.sale));
    cursor = page.next_cursor;
  } while (cursor && found.length < N_READ);
  return { sales: found, areAll: !cursor };
}

export async function openMarkets() {
  const { sales } = await openSales("");
  return [...new Set(sales.flatMap((sale) => sale.markets ?? []))].sort();
}

// Sales by id, open or closed; without those that were deleted since.
export async function salesOf(ids) {
  const known = new Map();
  await Promise.all([...new Set(ids)].map((one) => detail(one).then((found) => known.set(one, found.sale), () => {})));
  return known;
}

export function detail(saleId) {
  if (!details.has(saleId)) {
    const asked = call(`v1/sales/${part(saleId)}`);
    asked.catch(() => details.delete(saleId));
    details.set(saleId, asked);
  }
  return details.get(saleId);
}

export function forgetDetail(saleId) {
  details.delete(saleId);
}
