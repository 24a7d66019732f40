// The chart itself: lightweight-charts fed with history once and with increments from then on, never with all again.

import {
  CandlestickSeries,
  createChart,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  LineStyle,
} from "../vendor/lightweight-charts.standalone.production.mjs";
import { clock, date, number, volume } from "../lib/figures.js";
import { fade } from "../lib/theme.js";
import { Bands } from "./bands.js";
import { Overlay } from "./overlay.js";

const EMPTY_MAX = 300; // buckets without a trade that are drawn as room; longer silences are shortened to it
const BARS_WIDE = 270; // in sight at first on a desk …
const BARS_NARROW = 110; // … and on a phone
const BARS_YOUNG = 60; // at least so much room for a database that has just begun
const ROOM = 6; // bars of room at the right edge
const NEAR = 60; // bars from the oldest one at which older ones are asked for

/** `onPick(id)`, `onRange({near, edge})`, `onHover(bar | null)`, `onDrawn(markers)` tell what happens in the chart. */
export class Plot {
  constructor(element, events) {
    Object.assign(this, { element, ...events });
    this.rows = [];
    this.focused = null;
    this.stale = false;
    this.decimals = 2;
    this.bands = null;
    this.overlay = new Overlay(this);
    this.chart = createChart(element, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      layout: { fontSize: 11, attributionLogo: false, panes: { enableResize: false } },
      localization: { locale: "en-GB", timeFormatter: (time) => `${date(time)} ${clock(time)}` },
      rightPriceScale: { scaleMargins: { top: 0.12, bottom: 0.17 } },
      timeScale: { timeVisible: true, secondsVisible: true, rightOffset: ROOM, minBarSpacing: 0.05 },
    });
    const quiet = { lineWidth: 1, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false };
    this.lines = {
      upper: this.chart.addSeries(LineSeries, quiet),
      lower: this.chart.addSeries(LineSeries, quiet),
      mean: this.chart.addSeries(LineSeries, { ...quiet, lineWidth: 1.5 }),
    };
    this.volumes = this.chart.addSeries(
      HistogramSeries,
      {
        priceFormat: { type: "custom", minMove: 0.01, formatter: volume },
        priceLineVisible: false,
        lastValueVisible: false,
      },
      1,
    );
    const [main, below] = this.chart.panes();
    main.setStretchFactor(5);
    below.setStretchFactor(1);
    below.priceScale("right").applyOptions({ scaleMargins: { top: 0.15, bottom: 0 } });
    const pick = ({ hoveredObjectId }) => hoveredObjectId && this.onPick(this.overlay.picked(hoveredObjectId));
    this.chart.subscribeClick(pick);
    this.chart.subscribeDblClick(pick); // the second of two quick clicks
    this.chart.subscribeCrosshairMove(({ time }) => this.onHover((time && this.series?.at(time)) || null));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.#ranged());
  }

  get scale() {
    return this.chart.timeScale();
  }

  y(price) {
    return this.price.priceToCoordinate(price);
  }

  /** Take colours and the visitor's choices; only what differs is made anew. */
  style(colours, mode, font, display) {
    const before = this.display;
    Object.assign(this, { colours, mode, font, display });
    const grid = { color: fade(colours.muted, mode === "dark" ? 0.07 : 0.12) };
    const cross = { color: fade(colours.muted, 0.6), labelBackgroundColor: mode === "dark" ? colours.line : colours.text };
    this.chart.applyOptions({
      layout: {
        background: { color: colours.ground },
        textColor: colours.muted,
        fontFamily: font,
        panes: { separatorColor: colours.line },
      },
      grid: { vertLines: grid, horzLines: grid },
      crosshair: { vertLine: cross, horzLine: cross },
      rightPriceScale: { borderColor: colours.line },
      timeScale: { borderColor: colours.line },
    });
    this.lines.upper.applyOptions({ color: fade(colours.muted, 0.45) });
    this.lines.lower.applyOptions({ color: fade(colours.muted, 0.45) });
    this.lines.mean.applyOptions({ color: colours.muted });
    if (before?.line !== display.line) this.#makePrice();
    this.#colourPrice();
    if (!this.series) return;
    if (before?.colour !== display.colour || before?.line !== display.line) this.#fillPrice();
    if (["bands", "mean", "sigmas"].some((name) => before?.[name] !== display[name])) this.#fillBands();
  }

  /** Show a series from its beginning; `kept` where it is the one that was shown, with more or fewer old bars. */
  history(series, { kept }) {
    this.series = series;
    this.#fillPrice();
    this.#fillBands();
    if (!kept) this.#showLatest();
    this.#ranged();
  }

  /** Draw the bars at these positions, in ascending order, which are new or have changed. */
  update(positions) {
    for (const position of positions) {
      const bar = this.series.bars[position];
      const late = bar.time < this.lastTime;
      if (this.lastTime) for (const time of this.#empty(this.lastTime, bar.time)) this.price.update({ time });
      this.lastTime = Math.max(this.lastTime ?? 0, bar.time);
      this.price.update(this.#point(bar), late);
      this.volumes.update(this.#volume(bar), late);
    }
    this.#updateBands(positions);
    this.#ranged();
  }

  /** Show a span of time, where it is not in sight already. */
  show(start, end) {
    const range = this.scale.getVisibleRange();
    const [from, to] = [this.#bucket(start), this.#bucket(end)];
    if (!range || (from >= range.from && to <= range.to)) return;
    const first = this.scale.timeToIndex(from, true);
    const last = this.scale.timeToIndex(to, true);
    const view = this.scale.getVisibleLogicalRange();
    const bars = Math.max(view.to - view.from, (last - first) * 1.4);
    const middle = (first + last) / 2;
    this.scale.setVisibleLogicalRange({ from: middle - bars / 2, to: middle + bars / 2 });
  }

  /** Show the newest bars. Not animated: the library leaves out an animation's last step, which on a busy machine is all. */
  latest() {
    this.scale.scrollToPosition(ROOM, false);
  }

  /** Take what the overlay draws. */
  mark(marks) {
    const changed = (...names) => names.some((name) => marks[name] !== this[name]);
    const recolour = changed("stale", "decimals");
    const repaint = recolour || changed("rows", "focused");
    Object.assign(this, marks);
    if (recolour) this.#colourPrice();
    if (repaint) this.overlay.requestUpdate?.();
  }

  drawn(markers) {
    this.onDrawn(markers);
  }

  destroy() {
    this.chart.remove();
  }

  #makePrice() {
    if (this.price) this.chart.removeSeries(this.price);
    this.price = this.chart.addSeries(this.display.line ? LineSeries : CandlestickSeries, {
      priceLineStyle: LineStyle.Dotted,
    });
    this.price.attachPrimitive(this.overlay);
  }

  #colourPrice() {
    const { colours, display, stale, decimals } = this;
    const [up, down] = display.colour
      ? [colours["up-colour"], colours["down-colour"]]
      : [colours.up, colours.down];
    const priceFormat = { type: "custom", minMove: 1e-10, formatter: (price) => number(price, decimals) };
    const mark = stale ? colours.muted : colours.accent;
    const candles = { upColor: up, downColor: down, borderUpColor: up, borderDownColor: down };
    const wicks = { wickUpColor: up, wickDownColor: down };
    const own = display.line ? { color: colours.text, lineWidth: 1.5 } : { ...candles, ...wicks };
    this.price.applyOptions({ ...own, priceLineColor: mark, priceFormat });
    for (const line of Object.values(this.lines)) line.applyOptions({ priceFormat });
    this.bodies = { up, down };
  }

  #fillPrice() {
    const points = [];
    let before = null;
    for (const bar of this.series.bars) {
      if (before !== null) for (const time of this.#empty(before, bar.time)) points.push({ time });
      points.push(this.#point(bar));
      before = bar.time;
    }
    this.lastTime = before;
    this.price.setData(points);
    this.volumes.setData(this.series.bars.map((bar) => this.#volume(bar)));
  }

  #fillBands() {
    const { bands, mean, sigmas } = this.display;
    this.bands = bands ? new Bands(this.series, mean, sigmas) : null;
    for (const [name, line] of Object.entries(this.lines)) {
      const points = [];
      this.bands?.values.forEach((value, i) => {
        if (value) points.push({ time: this.series.bars[i].time, value: value[name] });
      });
      line.setData(points);
      this.bandsTime = points.at(-1)?.time ?? 0;
    }
  }

  #updateBands(positions) {
    if (!this.bands) return;
    const moved = new Set(positions.flatMap((position) => this.bands.update(position)));
    for (const position of [...moved].sort((a, b) => a - b)) {
      const value = this.bands.values[position];
      if (!value) continue;
      const { time } = this.series.bars[position];
      const late = time < this.bandsTime;
      for (const [name, line] of Object.entries(this.lines)) line.update({ time, value: value[name] }, late);
      this.bandsTime = Math.max(this.bandsTime, time);
    }
  }

  // Buckets between two bars in which nothing was traded; none where the second one is not later.
  #empty(after, before) {
    const { width } = this.series;
    const missing = Math.min(EMPTY_MAX, (before - after) / width - 1);
    return Array.from({ length: Math.max(0, missing) }, (_, i) => before - (missing - i) * width);
  }

  #point({ time, open, high, low, close }) {
    return this.display.line ? { time, value: close } : { time, open, high, low, close };
  }

  #volume({ time, open, close, volume: value }) {
    return { time, value, color: fade(close >= open ? this.bodies.up : this.bodies.down, 0.7) };
  }

  #bucket(time) {
    return time - (time % this.series.width);
  }

  #showLatest() {
    const end = this.scale.timeToIndex(this.lastTime ?? 0, true) ?? 0;
    const most = this.element.clientWidth < 600 ? BARS_NARROW : BARS_WIDE;
    const bars = Math.min(most, Math.max(BARS_YOUNG, this.series.bars.length + ROOM));
    this.scale.setVisibleLogicalRange({ from: end - bars, to: end + ROOM });
  }

  #ranged() {
    const range = this.scale.getVisibleLogicalRange();
    if (!range || !this.series?.first) return;
    const visible = this.scale.getVisibleRange();
    const oldest = this.scale.timeToIndex(this.series.first.time, true);
    const newest = this.scale.timeToIndex(this.lastTime, true);
    this.onRange({
      near: range.from - oldest < NEAR,
      edge: range.to >= newest - 0.5,
      bars: range.to - range.from,
      from: visible?.from,
      to: visible?.to,
    });
  }
}
