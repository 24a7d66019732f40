// The component "top": is something abnormal, how bad is it, and is it live; with a banner where it is not.

import { choiceLink } from "../lib/choosing.js";
import { copyButton } from "../lib/copy.js";
import { capital, chip, h, icon, setAttribute, setChildren, setText, SEVERITIES, shape } from "../lib/dom.js";
import { clock, number } from "../lib/figures.js";
import { mount } from "../lib/mount.js";
import { notices } from "../lib/notices.js";
import { linkTo } from "../lib/pages.js";
import { store } from "../lib/store.js";
import { storedMode, switchMode } from "../lib/theme.js";

const LOGO = "M1 9.4h3.4l1.8-4.5 2.9 8 2-5.3 1 1.8H15";
const BELL = "M8 2.2a3.8 3.8 0 0 0-3.8 3.8c0 3.4-1.5 4.6-1.5 4.6h10.6s-1.5-1.2-1.5-4.6A3.8 3.8 0 0 0 8 2.2ZM6.8 13.2a1.3 1.3 0 0 0 2.4 0";
const SUN = "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1.2v1.4M8 13.4v1.4M1.2 8h1.4M13.4 8h1.4M3.2 3.2l1 1M11.8 11.8l1 1M3.2 12.8l1-1M11.8 4.2l1-1";
const MOON = "M13.6 9.6A5.8 5.8 0 0 1 6.4 2.4a5.8 5.8 0 1 0 7.2 7.2Z";
const SIGNS = {
  live: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  waiting: "M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6Z",
  reconnecting: "M3.4 8a4.6 4.6 0 0 1 8.2-2.8M12.6 8a4.6 4.6 0 0 1-8.2 2.8M11.8 2.6v2.8H9M4.2 13.4v-2.8H7",
  stale: "M5.5 3.5v9M10.5 3.5v9",
  blind: "M2 8s2.2-3.8 6-3.8S14 8 14 8s-2.2 3.8-6 3.8S2 8 2 8ZM3 13 13 3",
  "no data": "M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6ZM4.8 11.2l6.4-6.4",
  ended: "M3.4 8.4l3 3 6.2-6.6",
};
const LOST = {
  tone: "bad",
  title: "This page has lost its server.",
  text: "What it shows stays as it was; it comes back by itself.",
  more: "Is tapewatch still running?",
};

const sign = (state) => SIGNS[{ lost: "reconnecting", connecting: "waiting", stopped: "stale" }[state] ?? state];

class Top {
  topics = ["settings", "now", "notices", "page", "alerting"];

  constructor(root) {
    this.root = root;
    this.verdict = h("div", { class: "verdict", role: "status" });
    this.time = h("span", { class: "utc" });
    this.source = h("span", { class: "source", hidden: true });
    this.feed = h("span", { class: "feed" });
    this.bell = h("button", { type: "button", class: "tool", onclick: () => notices.toggle() }, icon(BELL));
    this.theme = h("button", { type: "button", class: "tool", onclick: switchMode });
    const brand = h("span", { class: "brand" }, icon(LOGO), h("h1", {}, "tapewatch"));
    const tools = h("span", { class: "tools" }, this.bell, this.theme);
    this.badge = h("span", { class: "badge", hidden: true });
    this.pages = [
      { page: "", element: linkTo({ page: "" }, "Market") },
      { page: "alerts", element: linkTo({ page: "alerts" }, h("span", { class: "word" }, "Alerts"), this.badge) },
    ];
    const nav = h("nav", { class: "pages", "aria-label": "Pages" }, this.pages.map(({ element }) => element));
    const bar = h("div", { class: "bar" }, brand, nav, this.verdict, this.time, tools, this.source, this.feed);
    this.banner = h("div", { class: "banner", role: "alert", hidden: true });
    root.append(bar, this.banner);
    this.ticking = setInterval(() => this.#tick(), 250);
    // The banner takes its height from the chart, so that nothing else jumps.
    this.sizes = new ResizeObserver(() => {
      document.documentElement.style.setProperty("--tw-banner", `${this.banner.offsetHeight}px`);
    });
    this.sizes.observe(this.banner);
  }

  draw() {
    const { now, state } = store;
    this.root.dataset.s = state;
    this.root.dataset.seq = store.place.seq;
    this.#drawVerdict(now, state);
    this.#drawSource(now);
    this.#drawFeed(now, state);
    this.#drawBanner(state === "lost" ? LOST : now?.banner);
    this.#drawTools();
    this.#drawPages(store.alerting);
    this.#tick();
  }

  destroy() {
    clearInterval(this.ticking);
    this.sizes.disconnect();
  }

  #drawVerdict(now, state) {
    if (!now) return;
    const { headline, rest, severity, counts, worst: id } = now;
    setAttribute(this.verdict, "data-old", state !== "live" && state !== "waiting");
    setChildren(this.verdict, JSON.stringify([headline, rest, counts, id]), () => {
      if (!severity) return [h("b", {}, headline), h("span", { class: "muted rest" }, rest)];
      const [worst, limit] = [rest.replace(/, [^,]*$/, ""), rest.match(/, [^,]*$/)?.[0] ?? ""];
      return [
        h("span", { class: "muted headline" }, headline),
        chip(severity),
        h("span", { class: "counts" }, SEVERITIES.map((each) => this.#count(each, counts[each]))),
        this.#worst(id, h("span", { class: "muted wide" }, "worst "), h("b", {}, worst), h("span", { class: "muted wide" }, limit)),
      ];
    });
  }

  #worst(id, ...content) {
    const link = linkTo({ page: "", anomaly: id }, content);
    link.className = "worst";
    return link;
  }

  #count(severity, count) {
    const choices = () => ({ severity: [capital(severity)], scope: store.settings.everywhere, type: [], size: store.settings.anySize });
    const attributes = { title: `${count} ${severity} open; list them` };
    return choiceLink(choices, attributes, shape(severity, 10, `${severity}:`), h("b", {}, number(count)));
  }

  #drawSource(now) {
    this.source.hidden = !now?.source;
    if (this.source.hidden) return;
    setText(this.source, now.source);
    setAttribute(this.source, "title", now.source_more);
  }

  #drawFeed(now, state) {
    const [word, more] =
      state === "lost" ? ["Reconnecting", "page has no server"] : now ? [now.word, now.more] : ["Connecting", ""];
    setAttribute(this.feed, "data-s", now?.replay && state === "live" ? "replay" : state);
    setChildren(this.feed, `${state}|${word}|${Boolean(more)}`, () => {
      this.more = h("span", { class: "muted" });
      const drawing = icon(sign(state));
      if (state === "live") drawing.append(drawing.firstChild.cloneNode());
      return [drawing, h("b", {}, word), more ? this.more : null];
    });
    if (more) setText(this.more, more);
  }

  #drawBanner(banner) {
    this.banner.hidden = !banner;
    if (!banner) return;
    setAttribute(this.banner, "class", `banner ${banner.tone}`);
    setChildren(this.banner, JSON.stringify(banner), () => [
      banner.tone === "bad" ? chip("high") : null,
      h("span", {}, h("b", {}, banner.title), ` ${banner.text}`),
      h("span", { class: "muted" }, banner.more),
      banner.command ? h("span", { class: "command" }, h("code", {}, banner.command), copyButton(banner.command, "the command")) : null,
    ]);
  }

  // A channel that fails is seen wherever one looks; that all is well needs no words.
  #drawPages(alerting) {
    for (const { page, element } of this.pages) setAttribute(element, "aria-current", store.page === page ? "page" : null);
    const { word, more, tone } = alerting ?? { word: "", more: "", tone: "" };
    this.badge.hidden = !word;
    setAttribute(this.badge, "class", `badge ${tone}`);
    setAttribute(this.badge, "title", more);
    setChildren(this.badge, word + tone, () => [tone === "bad" ? shape("high", 9) : null, h("span", {}, word)]);
  }

  #drawTools() {
    setAttribute(this.bell, "aria-pressed", notices.on);
    setAttribute(this.bell, "aria-label", "Sound and desktop notice of high anomalies");
    setAttribute(this.bell, "title", notices.on ? "Sound and notices are on" : "Sound and notices of high anomalies");
    const mode = storedMode();
    setChildren(this.theme, mode, () => icon(mode === "dark" ? SUN : MOON));
    setAttribute(this.theme, "aria-label", mode === "dark" ? "Light theme" : "Dark theme");
    setAttribute(this.theme, "title", mode === "dark" ? "Light theme" : "Dark theme");
  }

  // Streamlit's own dialog would lay the page still until the server is back; ours can be zoomed and read.
  #closeDialog() {
    if (store.state === "lost") document.querySelector('.stDialog button[aria-label="Close"]')?.click();
  }

  #tick() {
    this.#closeDialog();
    setText(this.time, store.now && store.state !== "waiting" ? `${clock(store.clock)} UTC` : "");
  }
}

export default mount(Top, ".tw-top");
