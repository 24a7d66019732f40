// What somebody wants to hear nothing of for a while, and a form to ask for that.

import { capital, focused, h, setAttribute, setChildren, setText, SEVERITIES } from "../lib/dom.js";
import { minute } from "../lib/figures.js";
import { answerLine, asks } from "../lib/marking.js";
import { store } from "../lib/store.js";

const SPANS = [
  [900, "15 min"],
  [3600, "1 h"],
  [14400, "4 h"],
  [86400, "24 h"],
];

export class Silences {
  /** `symbolAt()` is what somebody looks at in the list, "" for nothing. */
  constructor(symbolAt) {
    this.symbolAt = symbolAt;
    this.line = answerLine();
    this.list = h("ul", { class: "silences" });
    this.none = h("p", { class: "muted" }, "Nothing is silenced.");
    this.form = new Form(this.line, () => this.#done());
    this.add = h("button", { type: "button", class: "act", "aria-expanded": "false", onclick: () => this.#fold(this.form.element.hidden) }, "Add …");
    this.past = h("button", { type: "button", class: "quiet", onclick: () => this.#unfold() });
    this.all = false;
    this.element = h("section", {}, h("div", { class: "section-head" }, h("h3", {}, "Silences"), this.add), this.form.element, this.line.element, this.list, this.none, this.past);
  }

  draw(overview) {
    this.overview = overview;
    const silences = overview?.silences ?? [];
    const past = silences.filter(({ state }) => state === "past");
    const shown = silences.filter(({ state }) => state !== "past").concat(this.all ? past : []);
    this.none.hidden = !overview || shown.length > 0;
    this.past.hidden = !past.length;
    setText(this.past, this.all ? "Hide past ones" : `Show ${past.length} past`);
    setChildren(this.list, JSON.stringify(shown), () => shown.map((each) => this.#item(each)));
    this.form.draw();
  }

  #item({ number, matches, state, left, note, since, until }) {
    const button = h("button", { type: "button", class: "act", "aria-label": `End silence ${number} now` }, "End now");
    button.addEventListener("click", () => asks(button, this.line, "unsilence", { number }));
    return h("li", { class: state }, h("b", { title: `silence ${number}` }, matches), state === "past" ? null : button, h("p", { class: "muted" }, whenOf(state, since, until), h("span", {}, left)), note ? h("p", {}, note) : null);
  }

  // Folded at once: somebody may open it for the next one while the answer still stands there.
  #done() {
    const inside = focused(this.form.element);
    this.#fold(false);
    if (inside) this.add.focus();
  }

  #fold(open) {
    this.form.element.hidden = !open;
    setAttribute(this.add, "aria-expanded", open);
    setText(this.add, open ? "Cancel" : "Add …");
    if (!open) return;
    this.line.say({ done: true, said: "" });
    this.form.begin(this.symbolAt()); // with nothing looked at somebody has to say what: nothing is silenced by accident
    this.form.symbol.focus();
    this.form.symbol.select();
  }

  #unfold() {
    this.all = !this.all;
    this.draw(this.overview);
  }
}

const whenOf = (state, since, until) => {
  if (state === "past") return "";
  const now = store.clock;
  return `${state === "active" ? `until ${minute(until, now)}` : `${minute(since, now)} to ${minute(until, since)}`} UTC · `;
};

class Form {
  constructor(line, done) {
    const field = (label, input) => h("label", {}, h("span", { class: "muted" }, label), input);
    this.known = h("datalist", { id: "silence-symbols" });
    this.symbol = h("input", { type: "text", list: "silence-symbols", maxlength: 100, spellcheck: "false", required: true, pattern: ".*\\S.*", placeholder: "one, or * for all" });
    this.rule = h("select");
    this.severity = h("select", {}, h("option", { value: "" }, "Any"), SEVERITIES.map((each) => h("option", { value: each }, capital(each))));
    this.venue = h("input", { type: "text", value: "*", maxlength: 100, spellcheck: "false" });
    this.own = h("input", { type: "number", min: 1, max: 527040, step: 1, placeholder: "min", "aria-label": "Own time, in minutes", oninput: () => this.#span(null) });
    this.since = h("input", { type: "datetime-local", step: 60 });
    this.note = h("input", { type: "text", maxlength: 500, placeholder: "Why, for the others" });
    this.spans = SPANS.map(([seconds, word]) => ({ seconds, button: h("button", { type: "button", onclick: () => this.#span(seconds) }, word) }));
    this.send = h("button", { type: "submit", class: "act" }, "Silence");
    const spans = h("span", { class: "segments", role: "group", "aria-label": "For how long" }, this.spans.map(({ button }) => button));
    this.element = h(
      "form",
      { class: "silence-form", hidden: true },
      field("Symbol, * matches any", this.symbol),
      field("Type", this.rule),
      field("Severity", this.severity),
      field("Venue", this.venue),
      h("label", { class: "wide" }, h("span", { class: "muted" }, "From (UTC), now if empty"), this.since),
      h("div", { class: "wide spans" }, spans, this.own),
      h("label", { class: "wide" }, h("span", { class: "muted" }, "Note"), this.note),
      h("div", { class: "wide actions" }, this.send),
      this.known,
    );
    this.#span(3600);
    this.element.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!(await asks(this.send, line, "silence", this.wanted))) return;
      done();
    });
  }

  /** As if nobody had written anything, but for the symbol. */
  begin(symbol) {
    this.element.reset();
    this.#span(3600);
    this.symbol.value = symbol;
  }

  get wanted() {
    const since = this.since.valueAsNumber / 1000; // such a field knows no zone: what is typed is taken as UTC
    return {
      ...(Number.isNaN(since) ? {} : { since_s: since }),
      for_s: this.seconds ?? Number(this.own.value) * 60,
      symbol: this.symbol.value.trim(),
      rule: this.rule.value,
      severity: this.severity.value || null,
      venue: this.venue.value.trim() || "*",
      note: this.note.value.trim(),
    };
  }

  draw() {
    const rules = store.settings?.rules ?? {};
    setChildren(this.rule, Object.keys(rules).join(), () => [h("option", { value: "*" }, "All types"), ...Object.entries(rules).map(([rule, word]) => h("option", { value: rule }, word))]);
    const symbols = (store.watch ?? []).map(({ symbol }) => symbol);
    setChildren(this.known, symbols.join(), () => symbols.map((symbol) => h("option", { value: symbol })));
  }

  #span(seconds) {
    this.seconds = seconds;
    this.own.required = seconds === null;
    if (seconds !== null) this.own.value = "";
    for (const each of this.spans) setAttribute(each.button, "aria-pressed", each.seconds === seconds);
  }
}
