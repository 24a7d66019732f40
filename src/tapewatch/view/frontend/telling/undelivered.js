// Messages that nobody took: they stand over everything else until somebody tries them again.

import { h, setChildren, shape } from "../lib/dom.js";
import { answerLine, asks } from "../lib/marking.js";
import { retryButton } from "./story.js";

const SHOWN = 3;
const SHOWN_NARROW = 1;
const NARROW = matchMedia("(max-width: 900px)");

export class Undelivered {
  constructor() {
    this.line = answerLine();
    this.list = h("ul");
    this.title = h("div", { class: "lost-title" });
    this.all = false;
    this.element = h("section", { class: "lost", "aria-label": "Undelivered messages", hidden: true }, this.title, this.list);
  }

  draw(overview) {
    const messages = overview?.undelivered ?? [];
    const { standing } = overview ?? { standing: null };
    this.element.hidden = !messages.length;
    if (!messages.length) return;
    const most = NARROW.matches ? SHOWN_NARROW : SHOWN;
    const total = overview.undelivered_in_all;
    setChildren(this.title, `${total} ${this.all} ${messages.length} ${most} ${standing.mark}`, () => [
      shape("high", 11),
      h("b", {}, `${total} ${total === 1 ? "message was" : "messages were"} not delivered`),
      messages.length > most
        ? h("button", { type: "button", class: "quiet", onclick: () => this.#fold(overview) }, this.all ? "Show fewer" : "Show all")
        : null,
      messages.length > 1 ? this.#everyone(messages) : null,
      this.line.element,
    ]);
    const shown = this.all ? messages : messages.slice(0, most);
    setChildren(this.list, JSON.stringify(shown), () =>
      shown.map(({ number, channel, subject, delivery, error }) =>
        h("li", {}, h("span", { class: "muted" }, `${number}`), h("b", {}, channel), h("span", { class: "subject", title: subject }, subject), h("span", { class: "muted why", title: error }, `${delivery}: ${error}`), retryButton(number, this.line)),
      ),
    );
  }

  #fold(overview) {
    this.all = !this.all;
    this.draw(overview);
  }

  #everyone(messages) {
    const button = h("button", { type: "button", class: "act" }, "Try all again");
    button.addEventListener("click", async () => {
      for (const { number } of messages) if (!(await asks(button, this.line, "retry", { message: number }))) return;
    });
    return button;
  }
}
