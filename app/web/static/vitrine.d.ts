// Types of vitrine.js. Answers are those of openapi.yaml; fields that are not named here are there, too.

export type EventType =
  | "impression" | "view" | "click" | "cart" | "purchase" | "favourite" | "refund" | "dislike" | "search" | "email_open";

/** What every call and every event of this page says of its visitor. */
export interface Visit {
  customer_id: string;
  session_id?: string;
  market?: string;
  device?: string;
}

/** Further fields of an event. `at` and `event_id` are made where they are not given. */
export interface EventFields {
  event_id?: string;
  at?: string;
  exposure_id?: string;
  position?: number;
  cover?: number;
  price?: number;
  quantity?: number;
  revenue?: number;
  propensity?: number;
  variant?: string;
}

export interface Item {
  sale_id: string;
  rank: number;
  purchase_probability: number | null;
  rules: string[];
  cover: number | null;
  sale: Record<string, unknown> | null;
}

export interface Answer {
  recommendation_id: string;
  bundle: string | null;
  degraded: string | null;
}

export interface Slate extends Answer {
  items: Item[];
}

export interface Page extends Answer {
  rows: { name: string; items: Item[] }[];
}

/** Milliseconds until the page goes on without an answer. */
export interface Patience {
  timeoutMs?: number;
}

export class Vitrine {
  /** Also sends what earlier pages of this site left in localStorage. */
  constructor(options: { endpoint: string; visit: Visit });

  /** Parameters of `GET /v1/recommendations`; null where there is no answer in time. */
  recommend(fields?: Patience & Record<string, unknown>): Promise<Slate | null>;

  /** Body of `POST /v1/pages`; null where there is no answer in time. */
  page(fields: Patience & { rows: object[] } & Record<string, unknown>): Promise<Page | null>;

  /** Records an impression once half of the element was on the screen for a second, and a click on each link in it. */
  watch(element: Element, item: Item, answer: Answer): void;

  /** Queues an event and returns its id. It is sent until the service has answered for it. */
  record(type: EventType, saleId?: string, fields?: EventFields): string;
}

/** Calls `seen` once half of the element was on the screen for a second. */
export function whenSeen(element: Element, seen: () => void): void;
