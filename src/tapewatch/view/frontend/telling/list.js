// The list of alerts, newest first: what was told to whom, what was not and why; a row opens its message.

import { chip, h, setAttribute, setChildren, setText, shape } from "../lib/dom.js";
import { arrow, moment } from "../lib/figures.js";
import { store } from "../lib/store.js";
import { keyOf } from "./book.js";
import { folded } from "./folding.js";
import { Story } from "./story.js";

const COLUMNS = ["Severity", "Time UTC", "Channel", "Symbol", "Type", "Peak", "Change", "Outcome, and why", "Message"];
const NARROW = matchMedia("(max-width: 900px)");
const OPEN = "tapewatch.open"; // the row that is open, in what the browser keeps for this tab: a new theme loads the page anew
const SIGNS = { told: "✓", waiting: "◌", "held back": "–", "not taken": "–", dismissed: "–" };

export class List {
  constructor(book) {
    this.book = book;
    this.items = new Map();
    this.unfolded = new Set(); // keys of rows that show what they stand for
    this.open = this.sought = sessionStorage.getItem(OPEN);
    this.head = h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name))));
    this.body = h("tbody");
    this.table = h("table", { role: "grid", "aria-label": "Alerts, newest first" }, this.head, this.body);
    this.cards = h("div", { class: "cards" });
    this.more = h("button", { type: "button", class: "more-cards", onclick: () => book.older() }, "Show more");
    this.none = h("p", { class: "nothing" });
    this.element = h("div", { class: "list" }, this.table, this.cards, this.more, this.none);
    this.element.addEventListener("click", (event) => {
      const row = event.target.closest("[data-key]");
      if (row) this.#toggle(row.dataset.key);
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    NARROW.addEventListener("change", () => this.draw());
  }

  /** The row that is open, if it is listed. */
  get opened() {
    return this.book.rows?.find((row) => keyOf(row) === this.open);
  }

  draw() {
    const { rows, complete } = this.book;
    const make = NARROW.matches ? cardOf : rowOf;
    if (make !== this.make) {
      this.items.clear();
      this.body.replaceChildren();
      this.cards.replaceChildren();
      this.make = make;
    }
    const listed = this.#folded(rows ?? []);
    this.listed = listed;
    this.table.hidden = NARROW.matches || !listed.length;
    this.cards.hidden = !NARROW.matches || !listed.length;
    this.more.hidden = complete || !listed.length;
    this.none.hidden = listed.length > 0;
    setText(this.none, this.#why());
    this.#drawItems(listed, NARROW.matches ? this.cards : this.body);
    if (rows && this.sought) this.items.get(this.sought)?.element.scrollIntoView({ block: "center" });
    if (rows) this.sought = null;
  }

  // What is open is not hidden by its fold.
  #folded(rows) {
    const listed = folded(rows, this.unfolded);
    const over = listed.find(({ key, members }) => members?.some((row) => keyOf(row) === this.open) && !this.unfolded.has(key));
    if (!over) return listed;
    this.unfolded.add(over.key);
    return folded(rows, this.unfolded);
  }

  #drawItems(rows, parent) {
    const known = new Set(rows.map(({ key }) => key));
    for (const [key, item] of this.items) {
      if (known.has(key)) continue;
      item.element.remove();
      item.detail?.remove();
      this.items.delete(key);
    }
    let next = parent.firstChild;
    for (const row of rows) {
      const { key } = row;
      const item = this.items.get(key) ?? this.#newItem(key, row);
      if (item.element !== next) parent.insertBefore(item.element, next);
      item.write(row);
      next = this.#drawDetail(item, row, key === this.open, parent, item.element.nextSibling);
      if (row.members) setAttribute(item.element, "aria-expanded", this.unfolded.has(key));
      else setAttribute(item.element, NARROW.matches ? "aria-expanded" : "aria-selected", key === this.open);
      setAttribute(item.element, "tabindex", key === (known.has(this.open) ? this.open : rows[0].key) ? 0 : -1);
    }
  }

  #newItem(key, row) {
    const item = this.make(row);
    item.element.dataset.key = key;
    item.element.dataset.outcome = row.outcome;
    this.items.set(key, item);
    return item;
  }

  #drawDetail(item, row, wanted, parent, next) {
    if (!wanted) {
      item.detail?.remove();
      item.detail = item.story = null;
      return item.element.nextSibling;
    }
    if (!item.detail) {
      item.story = new Story(row);
      const inside = item.story.element;
      item.detail = NARROW.matches ? h("div", { class: "more" }, inside) : h("tr", { class: "more" }, h("td", { colspan: COLUMNS.length }, inside));
    }
    if (item.detail !== next) parent.insertBefore(item.detail, next);
    item.story.write(row);
    return item.detail.nextSibling;
  }

  #toggle(key) {
    const { members } = this.listed.find((row) => row.key === key) ?? {};
    if (members) {
      if (!this.unfolded.delete(key)) this.unfolded.add(key);
      else if (members.some((row) => keyOf(row) === this.open)) this.open = null;
      this.draw();
      return;
    }
    this.open = this.open === key ? null : key;
    if (this.open) sessionStorage.setItem(OPEN, this.open);
    else sessionStorage.removeItem(OPEN);
    this.draw();
  }

  #key(event) {
    const { key } = event.target.dataset;
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (key && step) {
      event.preventDefault();
      const inOrder = this.listed.map((row) => row.key).filter((each) => this.items.get(each)?.element.isConnected);
      const to = inOrder[Math.min(inOrder.length - 1, Math.max(0, inOrder.indexOf(key) + step))];
      this.items.get(to)?.element.focus();
    } else if (key && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      this.#toggle(key);
    } else if (event.key === "Escape" && this.open) {
      this.#toggle(this.open);
    }
  }

  #why() {
    const { rows, error, filter, overview } = this.book;
    if (rows === null) return error ? "Nothing was read yet." : "Reading …";
    const narrowed = filter.channel || filter.symbol || filter.outcomes.length < 4;
    if (narrowed) return "No alerts match. Widen the time span, or choose more.";
    return `${filter.within === null ? "No alert yet." : "No alert in this time."} ${overview ? outlook(overview) : ""}`;
  }
}

// What is to be expected where nothing is listed.
const outlook = ({ channels, standing }) => {
  if (!channels.length) return "No channel is configured any more: nobody is told, and nothing new appears here.";
  const [are, they] = channels.length === 1 ? ["channel is", "it takes"] : ["channels are", "they take"];
  if (standing.word === "not running") return "Alerting is not running: what happens meanwhile appears here when it does.";
  return `The ${are} ready; what ${they} appears here as soon as it happens.`;
};

const outcomeOf = () => h("span", { class: "outcome" });
const writeOutcome = (element, { outcome, word, delivery, members, unfolded }) => {
  const became = delivery === "dismissed" ? delivery : outcome;
  setAttribute(element, "data-outcome", became);
  const said = members ? `${members.length} held back` : became === "dismissed" ? "undelivered, dismissed" : word;
  const drawn = members ? (unfolded ? "▾" : "▸") : SIGNS[became];
  setChildren(element, became + said + drawn, () => {
    const sign = became === "undelivered" ? shape("high", 9) : h("span", { class: "sign", "aria-hidden": "true" }, drawn);
    return [sign, said];
  });
};

// From when to when the rows were that are folded into one.
const spanOf = ({ from, at }) => `${moment(from, store.clock)} to ${moment(at, store.clock)}`;

const rowOf = (row) => {
  const cells = COLUMNS.slice(1).map(() => h("td"));
  const [time, channel, symbol, type, peak, happened, outcome, message] = cells;
  const [became, why] = [outcomeOf(), h("span", { class: "say" })];
  outcome.append(became, why);
  symbol.className = "symbol";
  type.append(h("span", { class: "way" }, arrow(row.direction)), row.type);
  peak.className = message.className = "right";
  const element = h("tr", {}, h("td", {}, chip(row.severity)), cells);
  element.classList.toggle("inside", Boolean(row.inside));
  const write = (now) => {
    setText(time, moment(now.at, store.clock));
    time.classList.toggle("dated", time.textContent.length > 8);
    setAttribute(time, "title", now.members ? spanOf(now) : null);
    setText(channel, now.channel);
    setAttribute(channel, "title", now.channel);
    setText(symbol, now.symbol);
    const { peak: most, explain, happened: step } = now.largest ?? now; // of many the largest
    setText(peak, most);
    setAttribute(peak, "title", explain);
    setText(happened, step);
    writeOutcome(became, now);
    element.dataset.outcome = now.outcome;
    setText(why, now.why);
    setAttribute(outcome, "title", now.reason);
    setText(message, now.message ?? "");
    message.hidden = now.message === null; // why nothing was sent may take its place
    outcome.colSpan = message.hidden ? 2 : 1;
  };
  return { element, write };
};

const cardOf = (row) => {
  const [what, say] = [h("span"), h("span", { class: "say" })];
  const figures = h("span", { class: "figures" }, h("b", {}, row.symbol), what);
  const became = outcomeOf();
  const element = h("button", { type: "button", class: row.inside ? "card inside" : "card" }, chip(row.severity), figures, became, say);
  const write = (now) => {
    const { peak, happened } = now.largest ?? now;
    const when = now.members ? spanOf(now) : moment(now.at, store.clock);
    setText(what, ` ${arrow(now.direction)} ${peak}`);
    writeOutcome(became, now);
    element.dataset.outcome = now.outcome;
    setText(say, [`${now.type} ${happened} ${when}`, now.channel, now.why].filter(Boolean).join(" · "));
  };
  return { element, write };
};
