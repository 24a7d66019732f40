// The component "log": what was abnormal, newest first; a table on a desk, cards on a phone.

import { chip, h, setAttribute, setChildren, setText } from "../lib/dom.js";
import { arrow, minute, moment } from "../lib/figures.js";
import { marking } from "../lib/marking.js";
import { mount } from "../lib/mount.js";
import { grouped } from "../lib/rows.js";
import { said } from "../lib/said.js";
import { store } from "../lib/store.js";

const SHOWN_MAX = 400;
const CARDS_FIRST = 8;
const FRESH_S = 1;
const SAY_MS = 3000; // between two sentences for those who listen
const ROW_PX = 27;
const HEAD_PX = 24;
const COLUMNS = ["Severity", "Time UTC", "Symbol", "Type", "Peak", "Size", "State", "What happened"];
const SORTS = { "Time UTC": "newest", Size: "largest" };
const SORT_TITLES = { newest: "The newest first", largest: "The largest first: how many times its limit it is" };
const NARROW = matchMedia("(max-width: 900px)");

class Log {
  topics = ["settings", "rows", "focus", "lane", "now", "said"];

  constructor(root) {
    this.root = root;
    this.items = new Map();
    this.all = false;
    this.sorts = new Map();
    this.head = h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, this.#heading(name)))));
    this.hour = h("p", { class: "only", hidden: true });
    this.body = h("tbody");
    this.table = h("table", { role: "grid", "aria-label": "Anomalies" }, this.head, this.body);
    this.cards = h("div", { class: "cards" });
    this.more = h("button", { type: "button", class: "more-cards" });
    this.none = h("p", { class: "none" });
    this.unknown = h("p", { class: "unknown", role: "alert", hidden: true });
    this.spoken = h("div", { class: "spoken", role: "log", "aria-live": "polite", "aria-label": "New anomalies" });
    root.append(this.unknown, this.hour, this.table, this.cards, this.more, this.none, this.spoken);
    this.more.addEventListener("click", () => this.#showAll());
    root.addEventListener("click", (event) => this.#clicked(event));
    root.addEventListener("keydown", (event) => this.#key(event, true));
    root.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.onKey = (event) => this.#key(event, false);
    document.addEventListener("keydown", this.onKey);
    this.onNarrow = () => this.draw();
    NARROW.addEventListener("change", this.onNarrow);
    this.listen = { happened: ({ detail }) => this.#announce(detail) };
    this.ticking = setInterval(() => this.draw(), 5000); // rows grow too old without anything happening
  }

  draw() {
    if (!store.settings) return;
    this.root.dataset.s = store.state;
    const rows = this.#listed();
    this.listed = rows;
    const shown = NARROW.matches ? rows.slice(0, this.all ? SHOWN_MAX : CARDS_FIRST) : rows.slice(0, SHOWN_MAX);
    this.unknown.hidden = !store.unknown;
    if (store.unknown) setText(this.unknown, `There is no anomaly ${store.unknown} in this database: the link is of another one, or of a demo that began anew.`);
    this.table.hidden = NARROW.matches || !rows.length;
    this.cards.hidden = !NARROW.matches || !rows.length;
    this.more.hidden = !NARROW.matches || shown.length === rows.length || this.all;
    setText(this.more, `Show ${Math.min(SHOWN_MAX, rows.length) - shown.length} more`);
    this.none.hidden = rows.length > 0;
    if (!rows.length) setText(this.none, this.#why());
    this.#drawArrangement();
    this.#drawItems(shown);
    this.drawnOnce ||= Boolean(store.rowsReady); // what comes from now on is new
    Object.assign(this.root.dataset, { rows: rows.length, ready: Boolean(store.rowsReady) });
    if (store.focus !== this.revealed && (!store.focus || this.#selected(rows))) {
      this.revealed = store.focus;
      this.#reveal();
    }
  }

  // What a link leads to stands first where the filter, its age or the room would hide it.
  #listed() {
    const rows = grouped(store.rows.list(store.filter, store.clock, store.order), store.order);
    const at = store.focus ? rows.indexOf(this.#selected(rows)) : 0;
    if (at >= 0 && at < (NARROW.matches && !this.all ? CARDS_FIRST : SHOWN_MAX)) return rows;
    const linked = rows[at] ?? store.rows.known.get(store.focus);
    return linked ? [linked, ...rows.filter((row) => row !== linked)] : rows;
  }

  destroy() {
    clearInterval(this.ticking);
    document.removeEventListener("keydown", this.onKey);
    NARROW.removeEventListener("change", this.onNarrow);
  }

  #heading(name) {
    const order = SORTS[name];
    if (!order) return name;
    const button = h("button", { type: "button", class: "sort", title: SORT_TITLES[order], onclick: () => store.arrange({ order }) }, name);
    this.sorts.set(order, button);
    return button;
  }

  #drawArrangement() {
    for (const [order, button] of this.sorts) {
      setAttribute(button, "aria-pressed", order === store.order);
      setAttribute(button.closest("th"), "aria-sort", order === store.order ? "descending" : null);
    }
    const { hour, clock } = store;
    this.hour.hidden = hour === null;
    setChildren(this.hour, `${hour}`, () =>
      hour === null ? [] : [
        h("span", {}, `Only what opened ${minute(hour, clock)} to ${minute(hour + 3600, hour)} UTC`),
        h("button", { type: "button", class: "link", onclick: () => store.arrange({ hour: null }) }, "Show all"),
      ]);
  }

  // Keyed by the anomaly: an element moves with its row, and only what has changed in it is written.
  #drawItems(rows) {
    const make = NARROW.matches ? cardOf : rowOf;
    if (make !== this.make) {
      this.items.clear();
      this.body.replaceChildren();
      this.cards.replaceChildren();
      this.make = make;
    }
    const parent = NARROW.matches ? this.cards : this.body;
    const known = new Set(rows.map(({ id }) => id));
    for (const [id, item] of this.items) {
      if (known.has(id)) continue;
      item.element.remove();
      item.detail?.remove();
      this.items.delete(id);
    }
    const selected = this.#selected(rows);
    let next = parent.firstChild;
    for (const row of rows) {
      const item = this.items.get(row.id) ?? this.#newItem(row, make);
      if (item.element !== next) parent.insertBefore(item.element, next);
      next = item.element.nextSibling;
      item.write(row, store.clock);
      next = this.#drawDetail(item, row, row === selected, parent, next);
      setAttribute(item.element, NARROW.matches ? "aria-expanded" : "aria-selected", row === selected);
      setAttribute(item.element, "tabindex", row === (selected ?? rows[0]) ? 0 : -1);
    }
  }

  #newItem(row, make) {
    const item = make(row);
    this.items.set(row.id, item);
    item.element.dataset.id = row.id;
    item.element.dataset.severity = row.severity;
    const young = this.drawnOnce && store.clock - row.opened < 60 * Math.max(1, store.now?.speed ?? 1);
    if (young && !row.members) {
      item.element.classList.add("fresh");
      setTimeout(() => item.element.classList.remove("fresh"), FRESH_S * 1000);
    }
    return item;
  }

  #drawDetail(item, row, wanted, parent, next) {
    if (!wanted) {
      item.detail?.remove();
      if (next === item.detail) next = item.element.nextSibling;
      item.detail = item.facts = null;
      return next;
    }
    item.detail ??= NARROW.matches ? h("div", { class: "more" }) : h("tr", { class: "more" });
    if (item.detail !== next) parent.insertBefore(item.detail, next);
    item.facts ??= factsOf(item, row);
    item.facts.write(row);
    return item.detail.nextSibling;
  }

  #selected(rows) {
    return store.focus && rows.find((row) => row.id === store.focus || row.members?.some(({ id }) => id === store.focus));
  }

  #why() {
    const { filter } = store;
    if (!store.rowsReady) return "";
    const lanes = store.watch ?? [];
    if (!lanes.length) return "No anomaly yet. Fast moves are seen from the first seconds on, the others need about one minute of trades.";
    if (!filter.severities.length) return "No severity is chosen. Choose one or more above.";
    const narrowed = [filter.rules, filter.directions, filter.symbols].some((chosen) => chosen.length) || filter.severities.length < 3 || filter.size || filter.hour !== null;
    const span = store.settings.spans[filter.recency];
    if (narrowed) return "No anomalies match. Widen the time span, or choose more.";
    if (!store.now?.certain) return `No anomaly in the ${span}, as far as anything was seen.`;
    const within = lanes.length > 1 ? `All ${lanes.length} symbols were within their limits` : `${lanes[0].symbol} was within its limits`;
    return `Nothing abnormal in the ${span}. ${within}.`;
  }

  #clicked(event) {
    const element = event.target.closest("[data-id]");
    if (element) this.#open(element.dataset.id);
  }

  #open(id) {
    const row = this.listed.find((each) => each.id === id);
    if (!row) return;
    const same = this.#selected(this.listed) === row;
    const lane = row.members?.find(({ symbol }) => symbol === store.lane?.symbol) ?? row.members?.[0] ?? row;
    if (same) store.look(null);
    else store.select(lane, { focus: lane.id });
  }

  #key(event, inside) {
    if (store.page) return; // another page is shown
    const target = event.composedPath()[0];
    if (!inside && event.composedPath().includes(this.root)) return;
    if (target instanceof Element && target.closest("input, select, textarea, [contenteditable]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = inside ? { ArrowDown: 1, ArrowUp: -1 } : {};
    const step = { j: 1, k: -1, ...arrows }[event.key];
    if (step) {
      event.preventDefault();
      this.#step(step);
    } else if (inside && (event.key === "Enter" || event.key === " ") && target.dataset?.id) {
      event.preventDefault();
      this.#open(target.dataset.id);
    } else if (event.key === "Escape" && store.focus) {
      store.look(null);
    }
  }

  // Move the focus by a row; what is focused is not opened, so that going through the log does not jump about.
  #step(step) {
    const ids = this.listed.map(({ id }) => id);
    const active = this.root.getRootNode().activeElement?.dataset?.id ?? this.#selected(this.listed)?.id;
    const at = ids.indexOf(active);
    const next = at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + step));
    this.items.get(ids[next])?.element.focus();
  }

  #scrolled() {
    const left = this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight;
    if (left < 200 && this.items.size < SHOWN_MAX) store.loadOlderRows();
  }

  // Bring the chosen row into the box, in whole rows.
  #reveal() {
    const item = store.focus && this.items.get(this.#selected(this.listed)?.id);
    if (!item || NARROW.matches) return;
    const { root } = this;
    const top = item.element.offsetTop;
    const end = (item.detail ?? item.element).offsetTop + (item.detail ?? item.element).offsetHeight;
    if (top - HEAD_PX >= root.scrollTop && end <= root.scrollTop + root.clientHeight) return;
    root.scrollTop = Math.max(0, Math.round((top - HEAD_PX - 4 * ROW_PX) / ROW_PX) * ROW_PX);
  }

  #showAll() {
    this.all = true;
    this.draw();
  }

  #announce(happened) {
    const opened = happened
      .filter(([, , change]) => change === "opened")
      .map(([, id]) => store.rows.known.get(id))
      .filter((row) => row && row.severity === "high");
    if (!opened.length || performance.now() - (this.saidAt ?? -Infinity) < SAY_MS) return;
    this.saidAt = performance.now();
    const worst = opened.reduce((a, b) => ((b.size ?? 0) > (a.size ?? 0) ? b : a));
    setText(this.spoken, `High: ${worst.explain}${opened.length > 1 ? `, and ${opened.length - 1} more` : ""}`);
  }
}

const pipsOf = () => h("span", { class: "pips", "aria-hidden": "true" }, [1, 2, 3, 4, 5].map(() => h("i")));
const writePips = (pips, count) => [...pips.children].forEach((pip, i) => pip.classList.toggle("on", i < count));

// The facts change while an anomaly lives; what a person is typing beside them stays.
const factsOf = (item, row) => {
  const facts = h("div");
  const told = h("p", { class: "muted told" });
  const verdict = marking(() => row.members?.map(({ id }) => id) ?? [row.id]);
  const parts = [facts, told, verdict.element];
  item.detail.append(...(NARROW.matches ? parts : [h("td", { colspan: COLUMNS.length }, parts)]));
  const write = (now) => {
    setChildren(facts, now.explain + now.details.join(), () => [
      h("p", {}, now.explain),
      h("p", { class: "muted" }, now.details.map((part) => h("span", {}, part))),
    ]);
    const story = said.story?.id === store.focus ? said.story : null;
    const whom = story?.told.length ? story.told : [story ? "Nobody was told" : "…"];
    setChildren(told, whom.join("|"), () => whom.map((each) => h("span", {}, each)));
    verdict.write(story?.mark ?? said.markOf(now.id));
  };
  return { write };
};

const writeMark = (element, id) => {
  const mark = said.markOf(id);
  element.hidden = !mark;
  if (!mark) return;
  setText(element, mark.word);
  setAttribute(element, "data-label", mark.label ?? "seen");
  setAttribute(element, "title", mark.note || null);
};

const rowOf = (row) => {
  const [symbol, peak, state, say] = ["td", "td", "td", "td"].map((tag) => h(tag));
  const time = h("time");
  const [limit, pips] = [h("span", { class: "ratio" }), pipsOf()];
  symbol.className = "symbol";
  peak.className = "right";
  say.className = "say";
  const [mark, sentence] = [h("span", { class: "mark", hidden: true }), h("span")];
  say.append(mark, sentence);
  const way = h("span", { class: "way", title: row.direction ?? "" }, arrow(row.direction));
  const element = h(
    "tr",
    {},
    h("td", {}, chip(row.severity)),
    h("td", {}, time),
    symbol,
    h("td", {}, way, row.type),
    peak,
    h("td", {}, h("span", { class: "limit" }, limit, pips)),
    state,
    say,
  );
  const write = (now, clock) => {
    setText(time, moment(now.opened, clock));
    time.classList.toggle("dated", time.textContent.length > 8);
    setText(symbol, now.symbol);
    setText(peak, now.peak);
    setText(limit, now.limit || "–");
    setAttribute(limit, "title", now.limit ? null : "What a feed does is measured by no size");
    writePips(pips, now.pips);
    pips.hidden = !now.limit;
    setText(state, now.state);
    state.className = now.ended === null ? "open" : "ended";
    writeMark(mark, now.id);
    setText(sentence, now.sentence);
    setAttribute(say, "title", now.explain);
  };
  return { element, write };
};

const cardOf = (row) => {
  const [figures, state, say] = [h("span", { class: "figures" }), h("span", { class: "muted" }), h("span", { class: "say" })];
  const [mark, sentence] = [h("span", { class: "mark", hidden: true }), h("span")];
  say.append(mark, sentence);
  const element = h("button", { type: "button", class: "card" }, chip(row.severity), figures, state, say);
  const write = (now, clock) => {
    setChildren(figures, now.symbol + now.peak + now.limit, () => [
      h("b", {}, now.symbol),
      ` ${arrow(now.direction)} ${now.peak} `,
      h("span", { class: "muted" }, now.limit),
    ]);
    setText(state, `${now.ended === null ? "open, " : ""}${moment(now.opened, clock)}`);
    writeMark(mark, now.id);
    setText(sentence, `${now.type}: ${now.sentence}`);
  };
  return { element, write };
};

export default mount(Log, ".tw-log");
