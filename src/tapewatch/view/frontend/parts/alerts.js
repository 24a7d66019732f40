// The component "alerts": what was told to whom, what was held back and why, and what a person can do about it.

import { h, setAttribute, setText } from "../lib/dom.js";
import { mount } from "../lib/mount.js";
import { store } from "../lib/store.js";
import { Book } from "../telling/book.js";
import { Channels } from "../telling/channels.js";
import { Choices } from "../telling/choices.js";
import { Jumps } from "../telling/jumps.js";
import { List } from "../telling/list.js";
import { PrecisionTable } from "../telling/precision.js";
import { setup } from "../telling/setup.js";
import { Silences } from "../telling/silences.js";
import { Undelivered } from "../telling/undelivered.js";

class Alerts {
  topics = ["settings", "page", "alerting", "watch", "said"];

  constructor(root) {
    this.root = root;
    this.book = new Book();
    this.undelivered = new Undelivered();
    this.choices = new Choices(this.book);
    this.list = new List(this.book);
    this.setup = setup();
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.sides = [new Channels(), new Silences(() => this.list.opened?.symbol ?? ""), new PrecisionTable(this.book)];
    this.jumps = new Jumps([this.choices.element, ...this.sides.map(({ element }) => element)]);
    root.append(
      this.jumps.element,
      h("div", { class: "told" }, this.undelivered.element, this.notice, this.choices.element, this.setup, this.list.element),
      h("aside", { class: "beside" }, this.sides.map(({ element }) => element)),
    );
    this.book.addEventListener("change", () => this.draw());
    this.onSeen = () => this.book.look();
    document.addEventListener("visibilitychange", this.onSeen);
  }

  draw() {
    const { book } = this;
    book.look();
    if (store.page !== "alerts") return;
    const { overview, rows } = book;
    const nobody = Boolean(overview) && !overview.channels.length && !rows?.length && !overview.undelivered.length;
    this.setup.hidden = !nobody;
    this.list.element.hidden = this.choices.element.hidden = nobody;
    this.undelivered.draw(overview);
    this.choices.draw();
    this.list.draw();
    for (const side of this.sides) side.draw(overview);
    this.jumps.element.hidden = nobody;
    this.jumps.draw(overview);
    this.#notice();
    Object.assign(this.root.dataset, { rows: rows?.length ?? "", mark: book.mark ?? "", ready: Boolean(overview && rows) });
  }

  destroy() {
    document.removeEventListener("visibilitychange", this.onSeen);
  }

  // Where nobody judges what happens, or nothing can be read, nothing here would ever change.
  #notice() {
    const { word, more } = store.alerting ?? {};
    const { error } = this.book;
    const parts = [
      word === "not running" ? `Alerting is not running: ${more}.` : "",
      error ? `What stands here may be old: ${error.replace(/\.$/, "")}.` : "",
    ];
    setText(this.notice, parts.filter(Boolean).join(" "));
    this.notice.hidden = !this.notice.textContent;
    setAttribute(this.root, "data-page", store.page);
  }
}

export default mount(Alerts, ".tw-alerts");
