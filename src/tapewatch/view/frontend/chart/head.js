// The line over the chart: symbol, price, change, what is open, the hour's range, and the width of the bars.

import { capital, chip, h, setAttribute, setChildren, setText } from "../lib/dom.js";
import { arrow, clock, number, span } from "../lib/figures.js";
import { store } from "../lib/store.js";

const WIDTHS = [
  [1, "1 s"],
  [10, "10 s"],
  [60, "1 min"],
];
const keyOf = ({ venue, symbol }) => `${venue}:${symbol}`;

// Of a lane that is not live while others are, its last bar.
const asOf = () => {
  const { now, series, fresh } = store;
  return (!fresh && now.as_of) || clock((fresh && series.last?.time) || (now.last ?? now.now));
};

export class Head {
  constructor() {
    this.select = h("select", {
      "aria-label": "Symbol",
      title: "Choose a symbol (press /)",
      onchange: () => store.select(store.watch.find((each) => keyOf(each) === this.select.value)),
    });
    this.price = h("span", { class: "price" });
    this.change = h("span", { class: "change" });
    this.open = h("span", { class: "opened" });
    this.figures = ["High", "Low", "Trades"].map((label) => {
      const value = h("span");
      return { label, value, element: h("span", { class: "figure" }, h("span", { class: "muted" }, label), value) };
    });
    this.asOf = h("span", { class: "muted as-of" });
    this.widths = WIDTHS.map(([width, text]) =>
      h("button", { type: "button", onclick: () => store.widen(width) }, text),
    );
    this.element = h(
      "div",
      { class: "head" },
      this.select,
      this.price,
      this.change,
      h("span", { class: "break" }),
      this.open,
      h("span", { class: "figures" }, this.figures.map(({ element }) => element), this.asOf),
      h("span", { class: "segments", role: "group", "aria-label": "Width of a bar" }, ...this.widths),
    );
    this.element.addEventListener("focusout", () => this.#drawSymbols());
  }

  focusSymbol() {
    this.select.focus();
    try {
      this.select.showPicker();
    } catch {
      // Some browsers open it only for a pointer; the focus is enough to choose with the keyboard.
    }
  }

  draw() {
    const watched = store.watched;
    this.#drawSymbols();
    this.widths.forEach((button, i) => setAttribute(button, "aria-pressed", WIDTHS[i][0] === store.width));
    const nothing = !watched || store.priceOf(watched) === null;
    this.price.hidden = this.change.hidden = nothing;
    if (nothing) {
      setText(this.asOf, "no price yet");
      for (const { element } of this.figures) element.hidden = true;
      this.open.hidden = true;
      return;
    }
    setText(this.price, number(store.priceOf(watched), watched.decimals));
    setAttribute(this.price, "data-old", !store.laneFresh);
    this.#drawChange(watched);
    this.#drawOpen(watched);
    const price = store.priceOf(watched); // it is newer than the watch-list
    const values = [
      watched.high === null ? "" : number(Math.max(watched.high, price), watched.decimals),
      watched.low === null ? "" : number(Math.min(watched.low, price), watched.decimals),
      store.laneFresh ? `${number(store.series.tradesAMinute(store.clock))} a minute` : "",
    ];
    this.figures.forEach(({ element, value }, i) => {
      element.hidden = !values[i];
      setText(value, values[i]);
    });
    setText(this.asOf, store.laneFresh || !store.now ? "" : `as of ${asOf()}`);
  }

  #drawSymbols() {
    if (this.element.getRootNode().activeElement === this.select && this.select.options.length) return;
    const watch = store.watch ?? [];
    const several = new Set(watch.map(({ venue }) => venue)).size > 1;
    setChildren(this.select, watch.map(keyOf).join(), () =>
      watch.map((each) =>
        h("option", { value: keyOf(each) }, several ? `${each.symbol} · ${each.venue}` : each.symbol),
      ),
    );
    this.select.hidden = !watch.length;
    if (store.lane && this.select.value !== keyOf(store.lane)) this.select.value = keyOf(store.lane);
  }

  #drawChange({ change, change_words: words, since }) {
    setChildren(this.change, `${words}|${since}`, () => {
      if (!words) return [];
      const way = arrow(change < 0 ? "down" : change > 0 ? "up" : "");
      return [`${way} ${words} `, h("span", { class: "muted" }, span(since))];
    });
  }

  #drawOpen({ worst, open }) {
    this.open.hidden = !worst;
    setChildren(this.open, `${worst}${open}`, () => (worst ? chip(worst, `${capital(worst)}, ${open} open`) : []));
    setAttribute(this.open, "title", "Worst anomaly that is open on this symbol");
  }
}
