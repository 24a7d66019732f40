// Whom there is to tell, and how each of them stands.

import { h, setChildren, setText, shape } from "../lib/dom.js";
import { answerLine, asks } from "../lib/marking.js";

const WORDS = { unused: "not used yet", working: "working", failing: "failing" };

/** "1 of 2 works"; what was not used yet cannot be said to fail. */
export const howMany = (channels) => {
  if (channels.every(({ state }) => state === "unused")) return channels.length ? WORDS.unused : "";
  const fine = channels.filter(({ state }) => state !== "failing").length;
  return `${fine} of ${channels.length} ${fine === 1 ? "works" : "work"}`;
};

export class Channels {
  constructor() {
    this.items = new Map();
    this.list = h("ul", { class: "channels" });
    this.none = h("p", { class: "muted" }, "None is configured.");
    this.count = h("span");
    this.element = h("section", {}, h("div", { class: "section-head" }, h("h3", {}, "Channels"), this.count), this.list, this.none);
  }

  draw(overview) {
    const channels = overview?.channels ?? [];
    this.none.hidden = !overview || channels.length > 0;
    setText(this.count, howMany(channels));
    setChildren(this.list, channels.map(({ name }) => name).join("|"), () => {
      this.items = new Map(channels.map((each) => [each.name, itemOf(each.name)]));
      return [...this.items.values()].map(({ element }) => element);
    });
    for (const each of channels) this.items.get(each.name).write(each);
  }
}

const itemOf = (name) => {
  const line = answerLine();
  const facts = h("div", { class: "channel" });
  const button = h("button", { type: "button", class: "act", "aria-label": `Send a sample to ${name}` }, "Send a sample");
  button.addEventListener("click", () => asks(button, line, "sample", { channel: name }));
  const element = h("li", {}, facts, h("div", { class: "actions" }, button, line.element));
  const write = (now) =>
    setChildren(facts, JSON.stringify(now), () => {
      const { service, takes, state, since, accepted, waiting, undelivered, error } = now;
      const undone = [waiting ? `${waiting} waiting` : "", undelivered ? `${undelivered} undelivered` : ""].filter(Boolean);
      return [
        h("div", { class: "channel-head" }, h("b", { title: name }, name), h("span", { class: "muted" }, service), h("span", { class: `state ${state}`, title: since }, state === "failing" ? shape("high", 9) : null, WORDS[state])),
        h("p", { class: "muted" }, takes),
        h("p", { class: "muted" }, state === "unused" ? "Nothing was sent yet" : `${WORDS[state]} ${since} · ${accepted}`.replace(/^./, (letter) => letter.toUpperCase())),
        undone.length ? h("p", {}, undone.join(", ")) : null,
        error ? h("p", { class: "error", title: error }, error) : null,
      ];
    });
  return { element, write };
};
