// What is listed of alerts: by channel, by what became of them, by symbol, by age.

import { capital, h, setAttribute, setChildren, shape } from "../lib/dom.js";
import { store } from "../lib/store.js";
import { OUTCOMES, WITHIN } from "./book.js";

export class Choices {
  constructor(book) {
    this.book = book;
    this.channel = h("select", { "aria-label": "Channel of the alerts", onchange: () => book.choose({ channel: this.channel.value }) });
    this.symbol = h("select", { "aria-label": "Symbol of the alerts", onchange: () => book.choose({ symbol: this.symbol.value }) });
    this.outcomes = OUTCOMES.map((outcome) => {
      const sign = outcome === "undelivered" ? shape("high", 9) : null;
      const button = h("button", { type: "button", onclick: () => this.#toggle(outcome) }, sign, capital(outcome));
      return { outcome, button };
    });
    this.within = WITHIN.map(([seconds, word]) => {
      const button = h("button", { type: "button", onclick: () => book.choose({ within: seconds }) }, word);
      return { seconds, button };
    });
    this.element = h(
      "div",
      { class: "choices" },
      h("h2", {}, "Alerts"),
      this.channel,
      h("span", { class: "pills", role: "group", "aria-label": "What became of it" }, this.outcomes.map(({ button }) => button)),
      this.symbol,
      h("span", { class: "segments", role: "group", "aria-label": "Recency" }, this.within.map(({ button }) => button)),
    );
  }

  draw() {
    const { filter, overview } = this.book;
    const channels = [...new Set([...(overview?.channels ?? []).map(({ name }) => name), filter.channel])].filter(Boolean);
    this.#fill(this.channel, "All channels", channels, filter.channel);
    const symbols = [...new Set([...(store.watch ?? []).map(({ symbol }) => symbol), filter.symbol])].filter(Boolean);
    this.#fill(this.symbol, "All symbols", symbols, filter.symbol);
    for (const { outcome, button } of this.outcomes) setAttribute(button, "aria-pressed", filter.outcomes.includes(outcome));
    for (const { seconds, button } of this.within) setAttribute(button, "aria-pressed", filter.within === seconds);
  }

  #fill(select, all, names, chosen) {
    setChildren(select, names.join("|"), () => [h("option", { value: "" }, all), ...names.map((name) => h("option", { value: name }, name))]);
    if (select.value !== chosen) select.value = chosen;
  }

  // With none left all that concern somebody are back: an empty list would tell nothing.
  #toggle(outcome) {
    const chosen = new Set(this.book.filter.outcomes);
    if (!chosen.delete(outcome)) chosen.add(outcome);
    const outcomes = OUTCOMES.filter((each) => chosen.has(each));
    this.book.choose({ outcomes: outcomes.length ? outcomes : OUTCOMES.slice(0, 4) });
  }
}
