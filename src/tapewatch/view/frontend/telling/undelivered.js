// Messages that nobody took: they stand over everything else until somebody tries them again, or dismisses them.

import { focused, h, setAttribute, setChildren, setText, shape } from "../lib/dom.js";
import { answerLine, asksAll } from "../lib/marking.js";
import { dismissButton, retryButton } from "./story.js";

const SHOWN = 3;
const SHOWN_NARROW = 1;
const NARROW = matchMedia("(max-width: 900px)");
const REFUSALS_SAID = 2;

const messagesAre = (count) => (count === 1 ? "1 message is" : `${count} messages are`);

export class Undelivered {
  constructor() {
    this.line = answerLine();
    this.list = h("ul");
    this.count = h("b");
    this.fold = h("button", { type: "button", class: "quiet", onclick: () => this.#fold() });
    this.everyone = h("button", { type: "button", class: "act", onclick: () => this.#tryAll() });
    this.all = false;
    const title = h("div", { class: "lost-title" }, shape("high", 11), this.count, this.fold, this.everyone, this.line.element);
    this.element = h("section", { class: "lost", "aria-label": "Undelivered messages", hidden: true }, title, this.list);
  }

  draw(overview) {
    const messages = overview?.undelivered ?? [];
    this.overview = overview;
    this.element.hidden = !messages.length;
    if (!messages.length) return;
    const most = NARROW.matches ? SHOWN_NARROW : SHOWN;
    const total = overview.undelivered_in_all;
    setText(this.count, `${total} ${total === 1 ? "message was" : "messages were"} not delivered`);
    this.fold.hidden = messages.length <= most;
    setText(this.fold, this.all ? "Show fewer" : total > messages.length ? `Show ${messages.length}` : "Show all");
    setAttribute(this.fold, "aria-expanded", this.all);
    this.everyone.hidden = messages.length < 2;
    setText(this.everyone, total > messages.length ? `Try the newest ${messages.length} again` : "Try all again");
    this.#drawList(this.all ? messages : messages.slice(0, most));
  }

  // Who goes through the messages with the keyboard goes on at the one that follows.
  #drawList(shown) {
    const buttons = () => [...this.list.querySelectorAll("button")];
    const at = buttons().indexOf(focused(this.list));
    setChildren(this.list, JSON.stringify(shown), () => shown.map((each) => this.#item(each)));
    if (at >= 0 && !focused(this.list)) (buttons()[at] ?? buttons()[at - 2])?.focus();
  }

  #item({ number, channel, subject, delivery, error }) {
    return h(
      "li",
      {},
      h("span", { class: "muted" }, `${number}`),
      h("b", { title: channel }, channel),
      h("span", { class: "subject", title: subject }, subject),
      h("span", { class: "muted why", title: error }, [delivery, error].filter(Boolean).join(": ")),
      h("span", { class: "asked" }, retryButton(number, this.line), dismissButton(number, this.line)),
    );
  }

  #fold() {
    this.all = !this.all;
    this.draw(this.overview);
  }

  async #tryAll() {
    const wanted = this.overview.undelivered.map(({ number }) => ({ message: number }));
    const answers = await asksAll(this.everyone, this.line, "retry", wanted);
    if (!answers) return;
    const failed = answers.filter(({ done }) => !done);
    const reasons = failed.slice(0, REFUSALS_SAID).map(({ said }) => said);
    if (failed.length > REFUSALS_SAID) reasons.push(`And ${failed.length - REFUSALS_SAID} more`);
    const said = `${messagesAre(answers.length - failed.length)} tried again`;
    this.line.say({ done: !failed.length, said: failed.length ? `${said}, ${failed.length} not: ${reasons.join(". ")}` : said });
  }
}
