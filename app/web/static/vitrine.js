// Client for websites: lists, pages, and events that are sent until the service has answered for them.
// A website copies this file; vitrine.d.ts has its types, docs/website.md its use.

const PREFIX = "vitrine:";
const FLUSH_MS = 1000;
const MAX_WAIT_MS = 60_000;
const TIMEOUT_MS = 10_000;
const BATCH = 100;
// Some 400 characters an event: a fifth of the 5 MB that browsers grant an origin.
const MAX_QUEUED = 2000;
// Half of an element for a second: the usual definition of a viewable impression.
const SEEN_SHARE = 0.5;
const SEEN_MS = 1000;

const watched = new WeakMap();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const one = watched.get(entry.target);
    clearTimeout(one.timer);
    if (entry.isIntersecting) one.timer = setTimeout(() => {
      observer.unobserve(entry.target);
      if (!entry.target.isConnected) return;
      if (document.visibilityState === "visible") one.seen();
      else observer.observe(entry.target); // reports again once the tab is in front
    }, SEEN_MS);
  }
}, { threshold: SEEN_SHARE });

export function whenSeen(element, seen) {
  watched.set(element, { seen, timer: null });
  observer.observe(element);
}

// Events that wait, oldest first. Each stands in localStorage under a key of its own: tabs of one
// site add and remove without reading what another wrote. Without storage they wait in this page.
class Queue {
  #memory = new Map();

  #stored() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
    } catch {
      return [];
    }
  }

  keys() {
    return [...this.#stored(), ...this.#memory.keys()].sort();
  }

  add(event) {
    const key = `${PREFIX}${event.at}:${event.event_id}`;
    const text = JSON.stringify(event);
    try {
      localStorage.setItem(key, text);
    } catch {
      this.#memory.set(key, text);
    }
    const keys = this.keys();
    const excess = keys.slice(0, Math.max(0, keys.length - MAX_QUEUED));
    if (excess.length) console.warn(`vitrine: ${excess.length} events dropped, ${MAX_QUEUED} wait already`);
    excess.forEach((one) => this.remove(one));
    return keys.length;
  }

  read(keys) {
    return keys.map((key) => [key, this.#memory.get(key) ?? localStorage.getItem(key)]).filter(([, text]) => text !== null);
  }

  remove(key) {
    if (!this.#memory.delete(key)) localStorage.removeItem(key);
  }
}

export class Vitrine {
  #endpoint;
  #visit;
  #queue = new Queue();
  #timer = null;
  #isSending = false;
  #failures = 0;

  constructor({ endpoint, visit }) {
    this.#endpoint = endpoint.replace(/\/$/, "");
    this.#visit = visit;
    addEventListener("pagehide", () => this.#send({ keepalive: true }));
    document.addEventListener("visibilitychange", () => this.#send({ keepalive: document.visibilityState === "hidden" }));
    addEventListener("online", () => this.#send());
    this.#send();
  }

  recommend({ timeoutMs = 1000, ...fields } = {}) {
    const asked = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...this.#visit, ...fields })) {
      for (const one of [value].flat()) if (one !== undefined && one !== null) asked.append(name, one);
    }
    return this.#ask(`/v1/recommendations?${asked}`, {}, timeoutMs);
  }

  page({ timeoutMs = 1000, ...fields }) {
    return this.#ask("/v1/pages", posted(JSON.stringify({ ...this.#visit, ...fields })), timeoutMs);
  }

  // The website's own page is shown where the service has no answer: null, and never an exception.
  async #ask(path, options, timeoutMs) {
    try {
      const answer = await fetch(this.#endpoint + path, { ...options, signal: AbortSignal.timeout(timeoutMs) });
      if (answer.ok) return await answer.json();
      console.warn(`vitrine: ${path.split("?")[0]} answered ${answer.status}`);
    } catch (error) {
      console.warn(`vitrine: no answer: ${error.message}`);
    }
    return null;
  }

  watch(element, item, answer) {
    const shown = { exposure_id: answer.recommendation_id, position: item.rank };
    if (item.cover) shown.cover = item.cover;
    whenSeen(element, () => this.record("impression", item.sale_id, shown));
    const clicked = (event) => {
      if (event.target.closest("a[href]")) this.record("click", item.sale_id, shown);
    };
    element.addEventListener("click", clicked);
    element.addEventListener("auxclick", (event) => { if (event.button === 1) clicked(event); });
  }

  record(type, saleId, fields = {}) {
    const event = { ...this.#visit, event_id: crypto.randomUUID(), type, sale_id: saleId, at: new Date().toISOString(), ...fields };
    if (this.#queue.add(event) >= BATCH && this.#failures === 0) this.#send();
    else this.#sendLater(FLUSH_MS);
    return event.event_id;
  }

  #sendLater(ms) {
    this.#timer ??= setTimeout(() => this.#send(), ms);
  }

  // A page that is being left sends once more, whatever is on its way: a repeated event counts once.
  async #send({ keepalive = false } = {}) {
    if (this.#isSending && !keepalive) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#isSending = true;
    let isAllAnswered;
    try {
      isAllAnswered = await this.#sendAll(keepalive);
    } catch {
      isAllAnswered = false;
    }
    this.#isSending = false;
    this.#failures = isAllAnswered ? 0 : this.#failures + 1;
    const waitMs = Math.min(MAX_WAIT_MS, FLUSH_MS * 2 ** this.#failures);
    // Up to half of it by chance, so that browsers do not come back all at once.
    if (this.#queue.keys().length) this.#sendLater(isAllAnswered ? FLUSH_MS : waitMs * (0.5 + Math.random() / 2));
  }

  async #sendAll(keepalive) {
    const keys = this.#queue.keys();
    let isAllAnswered = true;
    for (let first = 0; first < keys.length; first += BATCH) {
      const batch = this.#queue.read(keys.slice(first, first + BATCH));
      if (batch.length === 0) continue;
      const body = `{"events":[${batch.map(([, text]) => text).join(",")}]}`;
      const answer = await fetch(`${this.#endpoint}/v1/events`, { ...posted(body), keepalive, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!answer.ok) throw new Error(`events were answered with ${answer.status}`);
      const { results } = await answer.json();
      for (const result of results) {
        if (result.status === "unavailable") isAllAnswered = false;
        else this.#queue.remove(batch[result.index][0]);
        if (result.status === "rejected") console.warn(`vitrine: event ${result.event_id} was rejected: ${result.detail}`);
      }
    }
    return isAllAnswered;
  }
}

function posted(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body };
}
