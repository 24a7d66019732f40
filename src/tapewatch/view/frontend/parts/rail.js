// The component "rail": every symbol at a glance, and how anomalies are distributed.

import { choiceLink } from "../lib/choosing.js";
import { capital, h, s, setAttribute, setChildren, setText, SEVERITIES, shape } from "../lib/dom.js";
import { minute, number, span } from "../lib/figures.js";
import { mount } from "../lib/mount.js";
import { store } from "../lib/store.js";

const SPARK = { width: 60, height: 20 };
const HOURS = { height: 84, pitch: 13.8, wide: 10.6, labels: 16 };

const NO_HOURS = Array.from({ length: 24 }, (_, hour) => [hour, 0, 0, 0]);

const keyOf = ({ venue, symbol }) => `${venue}:${symbol}`;

class Rail {
  topics = ["settings", "now", "watch", "prices", "lane", "tally"];

  constructor(root, setStateValue, setTriggerValue) {
    this.root = root;
    store.chooser = (choices) => setTriggerValue("choose", choices);
    this.lines = new Map();
    this.list = h("div", { class: "watch", role: "group", "aria-label": "Watch-list" });
    this.heading = h("span");
    this.over = h("span");
    this.peak = h("span");
    this.sizes = h("div", { class: "sizes" });
    this.types = new Map();
    this.typeList = h("div", { class: "bars" });
    this.hours = s("svg", { class: "hours", role: "group", "aria-label": "Anomalies per hour of today, UTC" });
    const section = (title, aside, ...content) =>
      h("section", {}, h("div", { class: "section-head" }, h("h3", {}, title), aside), ...content);
    root.append(
      section("Watch-list", this.over, this.list),
      section("Times the limit", this.heading, this.sizes),
      section("By type", null, this.typeList),
      section("Per hour, today", this.peak, this.hours),
    );
  }

  draw(changed) {
    this.root.dataset.s = store.state;
    if (["watch", "prices", "lane", "now"].some((topic) => changed.has(topic))) this.#drawWatch();
    if (["tally", "settings", "lane", "watch"].some((topic) => changed.has(topic))) this.#drawCounts();
  }

  #drawWatch() {
    const watch = store.watch ?? [];
    setChildren(this.list, watch.map(keyOf).join(), () => {
      this.lines = new Map(watch.map((each) => [keyOf(each), this.#line(each)]));
      return [...this.lines.values()].map(({ element }) => element);
    });
    const known = watch.filter(({ change }) => change !== null);
    const since = known.some((each) => each.since === null) ? null : Math.min(...known.map((each) => each.since));
    setText(this.over, known.length ? `change ${since === null ? "over " : ""}${span(since)}` : "no trade yet");
    for (const each of watch) this.#drawLine(this.lines.get(keyOf(each)), each);
  }

  #line(each) {
    const [price, change, worst] = [h("span", { class: "right" }), h("span", { class: "right" }), h("span")];
    const spark = s("polyline", { fill: "none", "vector-effect": "non-scaling-stroke" });
    const picture = s(
      "svg",
      { class: "spark", viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      spark,
    );
    const [, base, quote] = each.symbol.match(/^(.*?)(-[^-]*)?$/);
    const name = h("span", { class: "name" }, base, h("span", { class: "muted" }, quote ?? ""));
    const element = h(
      "button",
      { type: "button", "data-symbol": each.symbol, onclick: () => store.select(each) },
      name,
      price,
      picture,
      change,
      worst,
    );
    return { element, price, change, worst, spark };
  }

  #drawLine(line, each) {
    const price = store.priceOf(each);
    const known = price !== null;
    setText(line.price, known ? number(price, each.decimals) : "–");
    const quiet = ["waiting", "no data", "blind", "reconnecting", "stale"].includes(each.state);
    setText(line.change, quiet && !known ? each.state : each.change_words);
    setAttribute(line.change, "title", each.change_words ? `${each.since === null ? "over " : ""}${span(each.since)}` : null);
    setAttribute(line.element, "data-quiet", quiet);
    setAttribute(line.element, "aria-pressed", each.symbol === store.lane?.symbol && each.venue === store.lane?.venue);
    setChildren(line.worst, each.worst ?? "", () => (each.worst ? shape(each.worst, 11, `${each.worst} anomaly open`) : []));
    setAttribute(line.spark, "points", this.#points(each.spark));
  }

  #points(values) {
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const { width, height } = SPARK;
    const x = (i) => ((i / Math.max(1, values.length - 1)) * (width - 2) + 1).toFixed(1);
    const y = (value) => (height - 2 - ((value - low) / span) * (height - 4)).toFixed(1);
    return values.map((value, i) => `${x(i)},${y(value)}`).join(" ");
  }

  #drawCounts() {
    const { tally, settings } = store;
    if (!settings) return;
    const where = settings.filter.one ? (store.lane?.symbol ?? "this symbol") : "all symbols";
    setText(this.heading, `${settings.spans[settings.filter.recency]}, ${where}`);
    this.#drawSizes(tally?.sizes ?? {}, settings);
    this.#drawTypes(tally?.rules ?? {}, settings.rules);
    this.#drawHours(tally?.hours ?? NO_HOURS);
  }

  // How many are at least so large, of each severity: what the types below do not tell, which have a severity each.
  #drawSizes(counts, { sizes, anySize, filter }) {
    const chosen = (severity, least) => filter.severities.length === 1 && filter.severities[0] === severity && filter.size === least;
    const most = Math.max(1, ...Object.values(counts).flat());
    setChildren(this.sizes, JSON.stringify([counts, filter.severities, filter.size]), () => [
      h("span"),
      ...sizes.map(([, word]) => h("span", { class: "muted right" }, word)),
      ...SEVERITIES.flatMap((severity) => [
        h("span", { class: "label" }, shape(severity), capital(severity)),
        ...sizes.map(([least, word], i) => {
          const count = counts[severity]?.[i] ?? 0;
          const on = chosen(severity, least);
          const choices = on
            ? { severity: SEVERITIES.map(capital), size: anySize }
            : { severity: [capital(severity)], size: word };
          const attributes = {
            class: "size right",
            style: `--share: ${((count / most) * 100).toFixed(1)}%; --colour: var(--${severity})`,
            title: on ? "Show all" : `List the ${severity} ones of at least ${least}× their limit`,
            "aria-current": on ? "true" : null,
          };
          return choiceLink(() => choices, attributes, number(count));
        }),
      ]),
    ]);
  }

  #drawTypes(counts, rules) {
    setChildren(this.typeList, Object.keys(rules).join(), () => {
      this.types = new Map(Object.entries(rules).map(([rule, word]) => [rule, this.#bar(word, rule)]));
      return [...this.types.values()].flatMap(({ parts }) => parts);
    });
    const most = Math.max(1, ...Object.values(counts));
    const armed = new Set(this.#lanes().flatMap((each) => each.armed));
    for (const [rule, bar] of this.types) {
      this.#drawBar(bar, counts[rule] ?? 0, most, armed.size > 0 && !armed.has(rule) && !counts[rule]);
      setAttribute(bar.link, "aria-current", bar.alone() ? "true" : null);
    }
  }

  #lanes() {
    const watch = store.watch ?? [];
    return store.settings.filter.one ? watch.filter(({ symbol }) => symbol === store.lane?.symbol) : watch;
  }

  #bar(word, rule) {
    const filled = h("i", { style: "background: var(--muted)" });
    const count = h("span", { class: "right" });
    const alone = () => store.settings.filter.rules.join() === rule;
    const attributes = { class: "type", title: `List the anomalies of the type ${word}, or all again` };
    const link = choiceLink(() => ({ type: alone() ? [] : [word] }), attributes, h("span", { class: "label" }, word), h("span", { class: "bar", "aria-hidden": "true" }, filled), count);
    return { filled, count, parts: [link], link, alone };
  }

  #drawBar({ filled, count }, value, most, off = false) {
    filled.style.width = `${(value / most) * 100}%`;
    setText(count, off ? "off" : number(value));
    setAttribute(count, "class", off ? "right muted" : "right");
    setAttribute(count, "title", off ? "Not armed on these symbols" : null);
  }

  #drawHours(hours) {
    const { height, pitch, labels } = HOURS;
    const most = Math.max(...hours.map(([, ...counts]) => counts.reduce((a, b) => a + b, 0)), 0);
    setText(this.peak, most ? `peak ${number(most)}` : "");
    const midnight = Math.floor(store.clock / 86400) * 86400;
    if (!setChildren(this.hours, JSON.stringify([hours, midnight, store.hour]), () => this.#columns(hours, most, midnight))) return;
    setAttribute(this.hours, "viewBox", `0 0 ${24 * pitch} ${height + labels}`);
    for (const hour of [0, 6, 12, 18]) {
      const text = `${String(hour).padStart(2, "0")}:00`;
      this.hours.append(s("text", { x: (hour * pitch).toFixed(1), y: height + 14 }, text));
    }
  }

  #hourLink(at, count, box) {
    const on = store.hour === at;
    const say = on ? "Show all" : `${minute(at, at)} to ${minute(at + 3600, at + 3600)}: list the ${number(count)} that opened`;
    const wanted = () => store.arrange({ hour: on ? null : at });
    const attributes = { ...box, class: on ? "hour on" : "hour", role: "button", tabindex: count ? 0 : -1, "aria-label": say };
    const link = s("rect", attributes, s("title", {}, say));
    if (!count && !on) return link;
    link.addEventListener("click", wanted);
    link.addEventListener("keydown", ({ key }) => (key === "Enter" || key === " ") && wanted());
    return link;
  }

  #columns(hours, most, midnight) {
    const { height, pitch, wide } = HOURS;
    const columns = []; // each with a transparent one over it to click at
    for (const [hour, ...counts] of hours) {
      const x = (hour * pitch).toFixed(1);
      let y = height;
      [...SEVERITIES].reverse().forEach((severity, i) => {
        const tall = most ? (counts[counts.length - 1 - i] / most) * (height - 4) : 0;
        y -= tall;
        if (tall > 0) {
          const box = { x, y: y.toFixed(1), width: wide, height: Math.max(0.5, tall - 0.8).toFixed(1) };
          columns.push(s("rect", { ...box, fill: `var(--${severity})` }));
        }
      });
      columns.push(this.#hourLink(midnight + hour * 3600, counts.reduce((a, b) => a + b, 0), { x, y: 0, width: pitch, height }));
      if (y === height) columns.push(s("rect", { x, y: height - 1, width: wide, height: 1, fill: "var(--line)" }));
    }
    return columns;
  }
}

export default mount(Rail, ".tw-rail");
