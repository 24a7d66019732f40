// The one state of a page, on globalThis: there is one even if a component is loaded from another address.
//
// Who has what: the URL has symbol and width, Streamlit has the filters (and writes them to the URL), the server has
// everything else and sends what has changed. Components listen to "change", which tells once per frame which topics
// have changed; the chart listens to "history" and "bars" besides, which tell at once.

import { readAddress, writeAddress } from "./address.js";
import { fetchAnomaly, fetchBars, fetchRows, fetchSpan, passes } from "./api.js";
import { Link } from "./link.js";
import { Rows } from "./rows.js";
import { Series } from "./series.js";

export const BARS_MAX = 10000;
const BARS_TRIMMED = 9000;
const BARS_FIRST = 2000;
const ROWS_PAGE = 200;
const ROWS_LARGEST = 400; // in one page: who wants more of the small ones chooses otherwise
export const TROUBLED = new Set(["stale", "blind", "no data", "reconnecting"]);
const NOWHERE = { epoch: "", revision: 0, seq: 0 };
const WIDTH = 10; // where nobody has chosen one …
const WIDTH_YOUNG = 1; // … and for a database of a few minutes
const YOUNG_BARS = 30;

const samePlace = (a, b) => a.venue === b?.venue && a.symbol === b?.symbol;

class Store extends EventTarget {
  constructor() {
    super();
    const { symbol, width, anomaly, page, order, hour } = readAddress();
    this.wishedSymbol = symbol;
    this.wishedWidth = width;
    this.wishedAnomaly = anomaly; // a link may lead to one
    this.page = page; // "": the market
    this.order = order;
    this.hour = hour; // the log shows the one that begins then, s; null: as recent as chosen
    this.width = this.wishedWidth ?? WIDTH;
    this.lane = null; // {venue, symbol} once the watch-list is known
    this.series = new Series(this.width);
    this.rows = new Rows();
    this.prices = new Map();
    this.place = NOWHERE;
    this.number = 0; // of the subscription; answers to earlier ones are told by it
    this.focus = null; // id of the anomaly that is looked at
    this.unknown = null; // id of an anomaly that a link leads to and that is not there
    this.sought = null; // what a link leads to, until it is found or a person looks at something else
    this.alerting = null; // how alerting stands
    this.link = "connecting";
    this.now = this.watch = this.tally = null;
    this.changed = new Set();
  }

  /** Take what Streamlit says; the first call starts everything. */
  configure(settings) {
    const text = JSON.stringify(settings);
    if (text === this.settingsText) return;
    const filterBefore = JSON.stringify(this.settings?.filter);
    this.settingsText = text;
    this.settings = settings;
    this.touch("settings");
    if (!this.socket) {
      this.socket = new Link({
        wish: () => this.#wish(),
        onMessage: (message) => this.#receive(message),
        onState: (state) => this.#linked(state),
      });
      this.socket.open();
      this.#loadRows();
    } else if (filterBefore !== JSON.stringify(settings.filter)) {
      this.#refilter();
    }
  }

  /** Note that something has changed; components hear of it before the next frame. */
  touch(...topics) {
    for (const topic of topics) this.changed.add(topic);
    this.frame ??= requestAnimationFrame(() => {
      const detail = this.changed;
      this.changed = new Set();
      this.frame = null;
      this.dispatchEvent(new CustomEvent("change", { detail }));
    });
  }

  tell(topic, detail) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  /** The filter with the symbol that "This symbol" means. */
  get filter() {
    const { one, ...filter } = this.settings.filter;
    return { ...filter, symbols: one && this.lane ? [this.lane.symbol] : [], hour: this.hour };
  }

  /** Now on the lanes' clock, s, as the server says it, carried on for at most five seconds without news; 0 before it did.
      The browser's own clock is another machine's, and is never asked. */
  get clock() {
    if (!this.now) return 0;
    return this.now.now + Math.min((performance.now() - this.heardAt) / 1000, 5) * this.now.speed;
  }

  get watched() {
    return this.lane && this.watch?.find((each) => samePlace(each, this.lane));
  }

  /** Whether what is shown may be taken for the present. */
  get fresh() {
    return this.link !== "lost" && (this.now?.state === "live" || this.now?.state === "waiting");
  }

  /** Whether that holds for the lane that is looked at, too: others may be live while it is not. */
  get laneFresh() {
    return this.fresh && !TROUBLED.has(this.watched?.state);
  }

  /** What state the page is in, in one word; tests and styles read it. */
  get state() {
    return this.link === "lost" ? "lost" : (this.now?.state ?? "connecting");
  }

  priceOf({ venue, symbol, price }) {
    return this.prices.get(`${venue}:${symbol}`) ?? price;
  }

  /** Choose bars of another width, as a person does. */
  widen(width) {
    this.wishedWidth = width;
    return this.select(this.lane, { width });
  }

  select(lane, { width = this.width, focus = null } = {}) {
    this.sought = null;
    if (samePlace(lane, this.lane) && width === this.width) {
      this.look(focus);
      return Promise.resolve();
    }
    this.lane = { venue: lane.venue, symbol: lane.symbol };
    this.width = width;
    this.focus = focus;
    this.unknown = null;
    this.touch("lane", "focus", "rows");
    this.#writeUrl();
    this.tell("lane", this.lane);
    if (this.settings.filter.one) this.#loadRows();
    return this.reload();
  }

  /** Look at an anomaly, or at none. */
  look(id) {
    this.sought = null;
    this.focus = id;
    this.unknown = null;
    this.touch("focus");
    this.#writeUrl();
    this.tell("look", this.rows.known.get(id));
  }

  /** Look at an anomaly that need not be loaded yet; where nobody knows it, that is said. */
  async find(id) {
    const sought = (this.sought = {});
    let row = this.rows.known.get(id);
    try {
      row ??= (await fetchAnomaly(id)).row;
    } catch (error) {
      if (this.sought === sought && passes(error)) {
        console.warn(`tapewatch: ${error.message}; trying again`);
        setTimeout(() => this.sought === sought && this.find(id), 2000);
        return;
      }
    }
    if (this.sought !== sought) return;
    if (row) {
      this.rows.put([row]);
      await this.select(row, { focus: id });
      return;
    }
    if (!this.lane) this.#selectFirst();
    this.sought = null;
    this.unknown = id;
    this.touch("focus");
  }

  /** List in another order, or another hour. */
  arrange(wanted) {
    Object.assign(this, wanted);
    this.#writeUrl();
    this.touch("settings");
    this.#refilter();
  }

  /** Show another page; who came by the browser's own buttons is in its history already. */
  turn(page) {
    this.page = page;
    this.touch("page");
  }

  /** Read the chart's history afresh, as far back as it reached, and follow from there. */
  async reload({ limit = BARS_FIRST } = {}) {
    const number = ++this.number;
    const series = new Series(this.width, this.watched?.counted);
    try {
      const { flat, place } = await fetchBars(this.lane, this.width, { limit });
      if (number !== this.number) return;
      series.prepend(flat);
      if (this.wishedWidth === null && this.width === WIDTH && series.bars.length < YOUNG_BARS) {
        this.width = WIDTH_YOUNG;
        this.reload({ limit });
        return;
      }
      this.exhausted = series.bars.length < limit;
      this.series = series;
      this.place = place;
      this.tell("history", { kept: false });
      this.socket.say(this.#wish());
      await this.#loadSpan();
    } catch (error) {
      if (number !== this.number) return;
      console.warn(`tapewatch: ${error.message}; trying again`);
      setTimeout(() => number === this.number && this.reload({ limit }), 2000);
    }
  }

  /** Read bars before those that are there; returns whether any came. */
  async loadOlder(limit = BARS_FIRST) {
    if (this.loadingOlder || this.exhausted || !this.series.first || this.series.bars.length >= BARS_MAX) return false;
    const { number, series } = this;
    this.loadingOlder = true;
    try {
      const wanted = Math.min(limit, BARS_MAX - series.bars.length);
      const { flat } = await fetchBars(this.lane, this.width, { before: series.first.time, limit: wanted });
      if (number !== this.number || !flat.length) {
        if (number === this.number) this.exhausted = true;
        return false;
      }
      const added = series.prepend(flat);
      this.tell("history", { kept: true, added });
      this.#loadSpan();
      return true;
    } catch {
      return false; // the next scroll asks again
    } finally {
      this.loadingOlder = false;
    }
  }

  /** Read the log's next page. */
  async loadOlderRows() {
    if (this.loadingRows || this.rows.reach === null || this.order === "largest") return;
    await this.#loadRows(this.rows.reach);
  }

  async #loadRows(after = null) {
    const filter = this.filter;
    const asked = JSON.stringify([filter, this.order]);
    this.loadingRows = asked;
    if (after === null) this.rowsReady = false;
    try {
      const { order } = this;
      const limit = order === "largest" ? ROWS_LARGEST : ROWS_PAGE;
      const rows = filter.severities.length ? (await fetchRows(filter, { after, order, limit })).rows : [];
      if (this.loadingRows !== asked) return;
      this.rows.put(rows);
      this.rows.reach = rows.length < limit ? null : rows.at(-1);
      this.rowsReady = true;
      this.touch("rows");
    } catch (error) {
      console.warn(`tapewatch: ${error.message}; trying again`);
      setTimeout(() => JSON.stringify([this.filter, this.order]) === asked && this.#loadRows(after), 2000);
    } finally {
      if (this.loadingRows === asked) this.loadingRows = null;
    }
  }

  async #loadSpan() {
    const { lane, series } = this;
    if (!series.first) return;
    const { rows } = await fetchSpan(lane, series.first.time, series.last.time + 86400);
    this.rows.put(rows);
    this.touch("rows");
  }

  #refilter() {
    this.rows.reach = null;
    this.touch("rows");
    this.#loadRows();
    this.number++;
    this.socket.say(this.#wish());
  }

  #wish() {
    const { severities, rules, directions, symbols, recency, size } = this.filter;
    const { venue, symbol } = this.lane ?? { venue: "", symbol: "" };
    return {
      ...this.place,
      number: this.number,
      venue,
      symbol,
      width: this.width,
      severities,
      rules,
      directions,
      symbols,
      recency_s: recency,
      min_size: size,
    };
  }

  #linked(state) {
    this.link = state;
    this.touch("now");
  }

  #receive(message) {
    if (message.type === "beat") return;
    if (message.type === "resync" || (this.place.epoch && message.epoch !== this.place.epoch)) {
      this.#startOver();
      return;
    }
    if (message.number !== this.number) return;
    if (!this.place.epoch && message.epoch && this.lane) {
      this.#startOver(); // a database has appeared
      return;
    }
    this.place = { epoch: message.epoch, revision: message.revision, seq: message.seq };
    if (message.now) {
      this.now = message.now;
      this.heardAt = performance.now();
      this.touch("now");
    }
    if (message.alerting) {
      this.alerting = message.alerting;
      this.touch("alerting");
    }
    if (message.watch) this.#takeWatch(message.watch);
    for (const [key, price] of Object.entries(message.prices ?? {})) this.prices.set(key, price);
    if (message.prices) this.touch("prices");
    if (message.tally) {
      this.tally = message.tally;
      this.touch("tally");
    }
    if (message.rows) {
      this.rows.put(message.rows);
      this.touch("rows");
    }
    if (message.bars) this.#takeBars(message.bars);
    if (message.happened) this.tell("happened", message.happened);
  }

  #takeWatch(watch) {
    this.watch = watch;
    this.prices.clear();
    this.touch("watch", "prices");
    if (this.lane || this.sought || !watch.length) return;
    const wished = this.wishedAnomaly;
    this.wishedAnomaly = null;
    if (wished) this.find(wished);
    else this.#selectFirst();
  }

  #selectFirst() {
    const [first] = this.watch;
    this.select(this.watch.find((each) => each.symbol === this.wishedSymbol) ?? first);
  }

  #takeBars(bars) {
    const { series } = this;
    const before = series.bars.length;
    const changed = bars.map((values) => series.merge(values));
    const appended = changed.filter((position) => position >= before).length;
    if (series.bars.length - before !== appended) {
      this.tell("history", { kept: true }); // a bar has come between others: its first trade was late
    } else if (series.bars.length > BARS_MAX + 500) {
      series.trim(BARS_TRIMMED);
      this.exhausted = false;
      this.tell("history", { kept: true });
    } else {
      this.tell("bars", changed);
    }
    this.touch("bars");
  }

  #startOver() {
    this.rows.clear();
    this.place = NOWHERE;
    this.#loadRows();
    if (this.lane) {
      this.reload({ limit: Math.min(BARS_MAX, Math.max(BARS_FIRST, this.series.bars.length)) });
    } else {
      this.number++;
      this.socket.say(this.#wish());
    }
  }

  #writeUrl() {
    writeAddress(this);
  }
}

export const store = (globalThis[Symbol.for("tapewatch.store")] ??= new Store());
