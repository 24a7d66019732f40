// Where the list is one column with all that stands beside it elsewhere: a line that says in short what lies below,
// and leads there and back.

import { h, setAttribute, setText } from "../lib/dom.js";
import { howMany } from "./channels.js";

const WORDS = ["Alerts", "Channels", "Silences", "Precision"];

export class Jumps {
  /** `places` are the elements that it leads to, in the order of its words. */
  constructor(places) {
    this.more = WORDS.map(() => h("span", { class: "muted" }));
    const buttons = WORDS.map((word, i) =>
      h("button", { type: "button", onclick: () => places[i].scrollIntoView() }, word, this.more[i]));
    this.element = h("nav", { class: "jumps", "aria-label": "On this page" }, buttons);
  }

  draw(overview) {
    const { channels = [], silences = [] } = overview ?? {};
    const silenced = silences.filter(({ state }) => state !== "past").length;
    setText(this.more[1], howMany(channels));
    setAttribute(this.more[1], "class", channels.some(({ state }) => state === "failing") ? "bad" : "muted");
    setText(this.more[2], silenced ? `${silenced}` : "");
  }
}
