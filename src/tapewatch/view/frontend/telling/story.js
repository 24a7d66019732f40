// What a row of the list opens: its message as it was sent, every attempt, and what a person says of the anomaly.

import { fetchMessage } from "../lib/api.js";
import { h, setChildren, setText } from "../lib/dom.js";
import { answerLine, asks, marking } from "../lib/marking.js";
import { linkTo } from "../lib/pages.js";
import { said } from "../lib/said.js";

const askingButton = (kind, number, line, word, name) => {
  const button = h("button", { type: "button", class: "act", "aria-label": name }, word);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    asks(button, line, kind, { message: number });
  });
  return button;
};

export const retryButton = (number, line) => askingButton("retry", number, line, "Try again", `Try message ${number} again`);
export const dismissButton = (number, line) => askingButton("dismiss", number, line, "Dismiss", `Dismiss message ${number}`);

export class Story {
  constructor(row) {
    this.facts = h("p");
    this.message = h("div", { class: "message" });
    this.line = answerLine();
    const link = linkTo({ page: "", anomaly: row.anomaly }, "Show it in the chart");
    link.className = "to-chart";
    this.verdict = marking(() => [row.anomaly]);
    this.element = h("div", { class: "story" }, h("div", { class: "facts" }, this.facts, link), this.message, this.verdict.element);
    this.element.addEventListener("click", (event) => event.stopPropagation());
  }

  write(row) {
    setText(this.facts, row.explain);
    this.verdict.write(said.markOf(row.anomaly));
    if (row.message === null) {
      this.read = this.asked = null;
      setChildren(this.message, `none ${row.reason}`, () => h("p", { class: "muted" }, `No message: ${row.reason}.`));
      return;
    }
    const key = `${row.message} ${row.outcome} ${row.delivery} ${row.reason}`;
    if (key !== this.read || row.outcome === "waiting") this.#read(row.message, key);
  }

  async #read(number, key) {
    this.read = key;
    const asked = (this.asked = {}); // what comes late must not stand over what is newer
    try {
      const message = await fetchMessage(number);
      if (this.asked !== asked) return;
      setChildren(this.message, JSON.stringify(message), () => this.#parts(message));
    } catch (error) {
      if (this.asked !== asked) return;
      this.read = null;
      setChildren(this.message, error.message, () => h("p", { class: "muted" }, `The message cannot be read: ${error.message}`));
    }
  }

  #parts(message) {
    const { number, channel, subject, text, state, delivery, attempts, alerts } = message;
    const about = alerts > 1 ? `, tells ${alerts} alerts` : "";
    const lastFailed = attempts.length > 0 && !attempts.at(-1).accepted;
    return [
      h("p", { class: `delivery ${state}` }, h("span", {}, h("b", {}, `Message ${number} to ${channel}`), `${about}: ${delivery}`), state === "undelivered" || state === "dismissed" ? retryButton(number, this.line) : null, this.line.element),
      h("div", { class: "letter" }, h("b", {}, subject), h("pre", {}, text.startsWith(subject) ? text.slice(subject.length).trimStart() : text)),
      attempts.length > 1 || lastFailed
        ? h("ol", { class: "attempts", "aria-label": "Attempts" }, attempts.map(({ tried, took, accepted, outcome }) =>
            h("li", { class: accepted ? "" : "failed" }, h("span", { class: "muted" }, `${tried}  `), outcome, h("span", { class: "muted" }, `  ${took}`))))
        : null,
    ];
  }
}
