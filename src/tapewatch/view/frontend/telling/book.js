// What the page of alerts shows: read when it is opened and whenever something has changed, at most once a second.

import { fetchAlerting, fetchAlerts } from "../lib/api.js";
import { store } from "../lib/store.js";

const EVERY_MS = 1000;
const STALE_MS = 30000; // "58 min left" grows old by itself
const PAGE_ROWS = 400; // many of them are folded into one
const READ_MAX = 500;

export const OUTCOMES = ["told", "waiting", "held back", "undelivered", "not taken"];
export const WITHIN = [
  [3600, "1 h"],
  [86400, "24 h"],
  [604800, "7 d"],
  [null, "All"],
];
const USUAL = { channel: "", outcomes: OUTCOMES.slice(0, 4), symbol: "", within: 86400 };

export const keyOf = ({ seq, channel }) => `${seq}:${channel}`;
const newestFirst = (a, b) => b.at - a.at || b.seq - a.seq || (a.channel < b.channel ? 1 : -1);

const fromAddress = () => {
  const url = new URLSearchParams(location.search);
  const outcomes = url.get("outcome")?.split(",").filter((each) => OUTCOMES.includes(each));
  const within = url.get("within");
  return {
    channel: url.get("channel") ?? "",
    outcomes: outcomes?.length ? outcomes : USUAL.outcomes,
    symbol: url.get("of") ?? "",
    within: WITHIN.find(([seconds]) => String(seconds ?? "all") === within)?.[0] ?? (within === "all" ? null : USUAL.within),
  };
};

export class Book extends EventTarget {
  constructor() {
    super();
    this.filter = fromAddress();
    this.by = "day";
    this.overview = null;
    this.rows = null; // null: not read yet
    this.complete = false;
    this.error = "";
    this.readAt = -Infinity;
    store.addEventListener("change", ({ detail }) => (detail.has("alerting") || detail.has("page")) && this.look());
    setInterval(() => performance.now() - this.readAt > STALE_MS && this.look(true), EVERY_MS);
  }

  get shown() {
    return store.page === "alerts" && !document.hidden;
  }

  /** Read again where something has changed since; `anyway` also where nothing has. */
  look(anyway = false) {
    if (!this.shown || this.reading || (!anyway && this.overview && store.alerting?.mark === this.mark)) return;
    clearTimeout(this.timer);
    const wait = anyway ? 0 : Math.max(0, this.readAt + EVERY_MS - performance.now());
    this.timer = setTimeout(() => this.#read(), wait);
  }

  choose(choices) {
    this.filter = { ...this.filter, ...choices };
    this.rows = null;
    this.#writeAddress();
    this.#tell();
    this.reading = false; // what is on its way answers another question
    this.look(true);
  }

  count(by) {
    this.by = by;
    this.#tell();
    this.reading = false;
    this.look(true);
  }

  async older() {
    if (this.complete || this.loadingOlder || !this.rows?.length) return;
    this.loadingOlder = true;
    try {
      const { filter } = this;
      const { rows } = await fetchAlerts(filter, { after: this.rows.at(-1), limit: PAGE_ROWS });
      if (filter !== this.filter) return;
      this.rows = [...this.rows, ...rows];
      this.complete = rows.length < PAGE_ROWS;
      this.#tell();
    } catch {
      // the next click asks again
    } finally {
      this.loadingOlder = false;
    }
  }

  async #read() {
    const question = (this.reading = {});
    const { filter, by } = this;
    this.mark = store.alerting?.mark;
    this.readAt = performance.now();
    const limit = Math.min(READ_MAX, Math.max(PAGE_ROWS, this.rows?.length ?? 0));
    const answers = await Promise.allSettled([fetchAlerting(by), fetchAlerts(filter, { limit })]);
    if (this.reading !== question) return;
    const [overview, listed] = answers; // each for itself: what can be read is shown
    if (overview.value) this.overview = overview.value;
    if (listed.value) this.#take(listed.value.rows, limit);
    this.error = answers.find(({ reason }) => reason)?.reason.message ?? "";
    if (this.error) this.mark = null;
    this.reading = false;
    this.#tell();
    if (store.alerting?.mark !== this.mark) this.look();
  }

  // What was read reaches so far back; older rows stay as they were.
  #take(rows, limit) {
    const last = rows.at(-1);
    const older = rows.length < limit ? [] : (this.rows ?? []).filter((row) => newestFirst(row, last) > 0);
    this.rows = [...rows, ...older];
    if (!older.length) this.complete = rows.length < limit;
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  #writeAddress() {
    const { channel, outcomes, symbol, within } = this.filter;
    const url = new URL(location.href);
    const write = (name, value, usual) => (value === usual ? url.searchParams.delete(name) : url.searchParams.set(name, value));
    write("channel", channel, USUAL.channel);
    write("outcome", outcomes.join(","), USUAL.outcomes.join(","));
    write("of", symbol, USUAL.symbol);
    write("within", String(within ?? "all"), String(USUAL.within));
    history.replaceState(history.state, "", url);
  }
}
