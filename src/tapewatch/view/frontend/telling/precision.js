// How often each rule was right, as far as people have said: in all, and day by day or week by week.

import { h, s, setAttribute, setChildren, setText } from "../lib/dom.js";
import { labelsAddress } from "../lib/api.js";

const STEPS = [
  ["day", "Days"],
  ["week", "Weeks"],
];
const SPARK = { pitch: 9, wide: 7, height: 22 };

export class PrecisionTable {
  constructor(book) {
    this.book = book;
    this.steps = STEPS.map(([step, word]) => ({ step, button: h("button", { type: "button", onclick: () => book.count(step) }, word) }));
    this.list = h("div", { class: "precision" });
    this.none = h("p", { class: "muted" }, "Mark anomalies as real or as false alarms, in the log or in this list: how often each rule was right then stands here.");
    this.files = h("p", { class: "files" }, h("a", { href: labelsAddress("csv"), download: "labels.csv" }, "Labels as CSV"), h("a", { href: labelsAddress("json"), download: "labels.jsonl" }, "as JSON lines"));
    const segments = h("span", { class: "segments small", role: "group", "aria-label": "Over time by" }, this.steps.map(({ button }) => button));
    this.element = h("section", {}, h("div", { class: "section-head" }, h("h3", {}, "Precision"), segments), this.list, this.none, this.files);
  }

  draw(overview) {
    const rules = overview?.precision ?? [];
    for (const { step, button } of this.steps) setAttribute(button, "aria-pressed", step === this.book.by);
    this.none.hidden = !overview || rules.length > 0;
    this.files.hidden = !rules.length;
    setText(this.files.firstChild, "Labels as CSV");
    setChildren(this.list, JSON.stringify(rules), () => rules.flatMap(lineOf));
  }
}

const lineOf = ({ type, words, judged, expected, spans, names }) => [
  h("span", {}, type),
  columns(spans, names),
  h("b", { class: "right" }, words),
  h("span", { class: "muted right", title: expected ? `${expected} expected ones do not count` : null }, `of ${judged}`),
];

// Full is right every time; an empty column is a span in which it was always wrong, none one in which nobody judged.
const columns = (spans, names) => {
  const { pitch, wide, height } = SPARK;
  const bars = spans.flatMap((share, i) => {
    const x = i * pitch;
    const tall = share === null ? 0 : Math.max(1, share * height);
    const ground = share === null ? [] : [s("rect", { x, y: 0, width: wide, height, class: "ground" })];
    const bar = share === null ? [s("rect", { x, y: height - 1, width: wide, height: 1, class: "none" })] : [s("rect", { x, y: height - tall, width: wide, height: tall, class: "share" })];
    return [s("g", {}, s("title", {}, names[i]), ground, bar)];
  });
  const view = { viewBox: `0 0 ${Math.max(1, spans.length) * pitch} ${height}`, width: spans.length * pitch, height };
  return s("svg", { class: "shares", role: "img", "aria-label": names.join("; "), ...view }, bars);
};
