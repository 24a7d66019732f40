// The component "chart": symbol and price, the chart with what was abnormal in it, and before the first trade a hint.

import { Card } from "../chart/card.js";
import { emptyState } from "../chart/empty.js";
import { Head } from "../chart/head.js";
import { Plot } from "../chart/plot.js";
import { h, setText } from "../lib/dom.js";
import { number } from "../lib/figures.js";
import { mount } from "../lib/mount.js";
import { BARS_MAX, store, TROUBLED } from "../lib/store.js";
import { modeOf } from "../lib/theme.js";

const OLD_ENOUGH = 500; // bars of room that are left when an old anomaly is looked at in wider bars

class Chart {
  topics = ["settings", "lane", "now", "watch", "prices", "bars", "rows", "focus"];

  constructor(root, setStateValue) {
    this.root = root;
    this.setStateValue = setStateValue;
    this.head = new Head();
    this.legend = h("div", { class: "legend" });
    this.canvas = h("div", { class: "canvas" });
    this.latest = h(
      "button",
      { type: "button", class: "latest", hidden: true, onclick: () => this.plot.latest() },
      "Latest →",
    );
    this.empty = emptyState();
    this.card = new Card();
    this.body = h("div", { class: "plot" }, this.legend, this.canvas, this.latest, this.card.element, this.empty.element);
    root.append(this.head.element, this.body);
    this.plot = new Plot(this.canvas, {
      onPick: (id) => store.look(id),
      onHover: (bar, found) => this.#hovered(bar, found),
      onRange: (range) => this.#ranged(range),
      onDrawn: (markers, holes) => this.#drawn(markers, holes),
    });
    this.listen = {
      history: ({ detail }) => this.#history(detail),
      bars: ({ detail }) => this.plot.update(detail),
      look: ({ detail }) => detail && this.#show(detail),
      lane: ({ detail }) => this.setStateValue("symbol", detail.symbol),
    };
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
    if (store.lane) this.setStateValue("symbol", store.lane.symbol);
    this.draw(new Set(["settings"]));
    this.#history({ kept: false });
  }

  draw(changed) {
    const { root } = this;
    root.dataset.s = store.state;
    if (changed.has("settings")) this.#style();
    this.head.draw();
    const nothing = !store.series.bars.length && !(store.watch ?? []).some(({ price }) => price !== null);
    this.empty.element.hidden = !nothing || store.state === "connecting";
    this.empty.write(Boolean(store.watch?.length), TROUBLED.has(store.state));
    this.canvas.hidden = this.legend.hidden = nothing;
    this.plot.mark({
      rows: this.#rows(),
      focused: (store.focus && this.#rows().find(({ id }) => id === store.focus)) || null,
      silences: this.#silences(),
      old: !store.laneFresh,
      stale: !store.laneFresh && store.now?.state !== "ended" && store.state !== "connecting",
      decimals: store.watched?.decimals ?? 2,
    });
    this.#drawLegend();
    Object.assign(root.dataset, {
      symbol: store.lane?.symbol ?? "",
      bars: store.series.bars.length,
      revision: store.place.revision,
      price: store.series.last?.close ?? "",
    });
  }

  destroy() {
    document.removeEventListener("keydown", this.onKey);
    this.plot.destroy();
  }

  #style() {
    const { palettes, display } = store.settings;
    const mode = modeOf(this.root, palettes);
    this.plot.style(palettes[mode], mode, getComputedStyle(this.root).fontFamily, display);
  }

  // Of this lane and as filtered, whatever their age: what is in sight is what the time axis shows.
  #rows() {
    const key = `${store.rows.version}|${store.settingsText}|${store.lane?.venue}|${store.lane?.symbol}`;
    if (key !== this.rowsKey) {
      this.rowsKey = key;
      this.laneRows = store.lane ? store.rows.ofLane(store.lane, store.filter) : [];
    }
    return this.laneRows;
  }

  // When the feed of this lane was silent, whatever is listed; the same array while nothing has changed.
  #silences() {
    if (store.rows.version === this.silencesOf?.version && store.lane === this.silencesOf.lane) return this.silencesOf.spans;
    const spans = store.lane ? store.rows.silences(store.lane) : [];
    const same = JSON.stringify(spans) === JSON.stringify(this.silencesOf?.spans);
    this.silencesOf = { version: store.rows.version, lane: store.lane, spans: same ? this.silencesOf.spans : spans };
    return this.silencesOf.spans;
  }

  #history({ kept }) {
    this.rowsKey = null;
    this.draw(new Set());
    this.plot.history(store.series, { kept });
    this.draw(new Set());
    const focused = !kept && store.focus && store.rows.known.get(store.focus);
    if (focused) this.#show(focused);
  }

  async #show(row) {
    const { series, lane } = store;
    if (row.venue !== lane.venue || row.symbol !== lane.symbol || !series.first) return;
    const room = (width) => (series.last.time - row.opened) / width < BARS_MAX - OLD_ENOUGH;
    if (!room(series.width) && series.width < 60) {
      const width = [10, 60].find((wider) => wider > series.width && room(wider)) ?? 60;
      await store.select(lane, { width, focus: row.id });
      return;
    }
    while (row.opened < store.series.first.time) {
      const missing = Math.ceil((store.series.first.time - row.opened) / series.width) + OLD_ENOUGH / 2;
      if (!(await store.loadOlder(missing))) break;
    }
    this.plot.show(Math.min(row.opened, row.peak_at), Math.max(row.peak_at, row.ended ?? row.peak_at));
  }

  #ranged({ near, edge, tag, bars, from, to }) {
    this.latest.hidden = edge;
    if (near && bars > 0) store.loadOlder();
    Object.assign(this.root.dataset, { from: from ?? "", to: to ?? "", visible: bars.toFixed(3), edge, tag });
  }

  #drawn(markers, holes) {
    const { from, to } = this.plot.price.priceScale().getVisibleRange() ?? {};
    this.root.dataset.scale = `${from} ${to}`;
    this.root.dataset.holes = holes.map(({ from, to, missing }) => `${from}-${to}:${missing}`).join(" ");
    this.root.dataset.markers = markers.length;
    const places = markers.flatMap(({ rows, x, y }) => rows.map(({ id }) => `${id}@${Math.round(x)},${Math.round(y)}`));
    this.root.dataset.marked = places.join(" ");
  }

  #hovered(bar, found) {
    this.hovered = bar;
    this.card.show(found, store.clock, { width: this.canvas.clientWidth, height: this.canvas.clientHeight });
    this.#drawLegend();
  }

  #drawLegend() {
    const bar = this.hovered ?? store.series.last;
    if (!bar) return;
    this.legendParts ??= this.#buildLegend();
    const { decimals } = this.plot;
    const { values, mean, band } = this.legendParts;
    ["open", "high", "low", "close"].forEach((name, i) => setText(values[i], number(bar[name], decimals)));
    const { bands } = this.plot;
    const value = bands?.values[store.series.positions.get(bar.time)];
    mean.element.hidden = band.element.hidden = !value;
    if (!value) return;
    setText(mean.label, `Mean ${bands.bars}`);
    setText(mean.value, number(value.mean, decimals));
    setText(band.label, `${bands.sigmas} σ`);
    setText(band.value, `${number(value.lower, decimals)} to ${number(value.upper, decimals)}`);
  }

  #buildLegend() {
    const values = ["O", "H", "L", "C"].map(() => h("b"));
    const prices = h("span", { class: "ohlc" }, ["O", "H", "L", "C"].map((label, i) => [`${label} `, values[i]]));
    const line = (kind, ...before) => {
      const [label, value] = [h("span"), h("b")];
      return { label, value, element: h("span", {}, h("i", { class: kind }), ...before, label, " ", value) };
    };
    const mean = line("stroke");
    const band = line("fill", h("span", { class: "wide" }, "Bollinger "));
    this.legend.append(prices, mean.element, band.element);
    return { values, mean, band };
  }

  #key(event) {
    if (store.page) return; // another page is shown
    const target = event.composedPath()[0];
    const typing = target instanceof Element && target.closest("input, select, textarea, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.head.focusSymbol();
  }
}

export default mount(Chart, ".tw-chart");
