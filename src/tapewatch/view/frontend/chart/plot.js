// The chart itself: lightweight-charts fed with history once and with increments from then on, never with all again.

import {
  CandlestickSeries,
  createChart,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  LineStyle,
  PriceLineSource,
} from "../vendor/lightweight-charts.standalone.production.mjs";
import { clock, date, moment, number, volume } from "../lib/figures.js";
import { fade } from "../lib/theme.js";
import { Bands } from "./bands.js";
import { Overlay } from "./overlay.js";

const EMPTY_MAX = 300; // buckets without a trade that are drawn as room; longer silences are shortened to it
const BARS_WIDE = 270; // in sight at first on a desk …
const BARS_NARROW = 110; // … and on a phone
const BARS_YOUNG = 60; // at least so much room for a database that has just begun
const ROOM = 6; // bars of room at the right edge
const NEAR = 60; // bars from the oldest one at which older ones are asked for

const UNSEEN = "rgba(0, 0, 0, 0)"; // of a line where it leads through a hole

/** `onPick(id)`, `onRange({near, edge})`, `onHover(bar | null, found | null)`, `onDrawn(markers, holes)` tell what happens in the chart. */
export class Plot {
  constructor(element, events) {
    Object.assign(this, { element, ...events });
    this.rows = [];
    this.focused = null;
    this.stale = false; // is what is right of the last bar unknown?
    this.old = false; // is the last price not the present one?
    this.silences = [];
    this.edge = true;
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
    const bare = { priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false };
    const quiet = { lineWidth: 1, ...bare, autoscaleInfoProvider: () => null }; // the scale is that of the prices alone
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
    const pick = ({ hoveredObjectId: id }) => {
      const picked = id && this.overlay.picked(id);
      if (picked) this.onPick(picked);
    };
    this.chart.subscribeClick(pick);
    this.chart.subscribeDblClick(pick); // the second of two quick clicks
    this.chart.subscribeCrosshairMove(({ time, point, hoveredObjectId: id }) =>
      this.onHover((time && this.series?.at(time)) || null, (id && point && this.overlay.found(id, point)) || null),
    );
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
    series.silences = this.silences;
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
      if (this.series.holeBefore(position)) this.#breakBefore(position);
      if (this.lastTime) for (const time of this.#empty(this.lastTime, bar.time)) this.price.update({ time });
      this.lastTime = Math.max(this.lastTime ?? 0, bar.time);
      this.price.update(this.#point(position), late);
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
    const recolour = changed("stale", "old", "decimals");
    const broken = changed("silences") && this.series;
    const repaint = recolour || changed("rows", "focused");
    Object.assign(this, marks);
    if (recolour) this.#colourPrice();
    if (broken) this.#refill();
    if (repaint || broken) this.overlay.requestUpdate?.();
  }

  drawn(markers, holes) {
    this.onDrawn(markers, holes);
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
    const { colours, display, decimals } = this;
    const [up, down] = display.colour
      ? [colours["up-colour"], colours["down-colour"]]
      : [colours.up, colours.down];
    const priceFormat = { type: "custom", minMove: 1e-10, formatter: (price) => number(price, decimals) };
    const mark = this.#present ? colours.accent : colours.muted;
    const candles = { upColor: up, downColor: down, borderUpColor: up, borderDownColor: down };
    const wicks = { wickUpColor: up, wickDownColor: down };
    const own = display.line ? { color: colours.text, lineWidth: 1.5 } : { ...candles, ...wicks };
    this.price.applyOptions({ ...own, priceLineColor: mark, priceFormat });
    for (const line of Object.values(this.lines)) line.applyOptions({ priceFormat });
    this.bodies = { up, down };
  }

  // With the newest bar out of sight the price's tag is that of the last bar in sight, grey and with its time; and the
  // wheel turns around what the pointer is at, where with it in sight it stays where it is.
  #tag(edge) {
    const time = edge ? "" : this.#lastSeen();
    if (this.edge === edge && this.tagged === time) return;
    Object.assign(this, { edge, tagged: time });
    this.chart.applyOptions({ timeScale: { rightBarStaysOnScroll: edge } });
    this.price.applyOptions({
      priceLineSource: edge ? PriceLineSource.LastBar : PriceLineSource.LastVisible,
      priceLineColor: this.#present ? this.colours.accent : this.colours.muted,
      title: time,
    });
  }

  get #present() {
    return this.edge && !this.old;
  }

  #lastSeen() {
    const range = this.scale.getVisibleRange();
    const bar = range && this.series.before(range.to);
    return bar ? moment(bar.time, this.series.last.time) : "";
  }

  #fillPrice() {
    const points = [];
    let before = null;
    this.series.bars.forEach(({ time: now }, position) => {
      if (before !== null) for (const time of this.#empty(before, now)) points.push({ time });
      points.push(this.#point(position));
      before = now;
    });
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
        if (value) points.push(this.#linePoint(i, value[name]));
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
      for (const [name, line] of Object.entries(this.lines)) line.update(this.#linePoint(position, value[name]), late);
      this.bandsTime = Math.max(this.bandsTime, time);
    }
  }

  // Buckets between two bars in which nothing was traded; none where the second one is not later.
  #empty(after, before) {
    const { width } = this.series;
    const missing = Math.min(EMPTY_MAX, (before - after) / width - 1);
    return Array.from({ length: Math.max(0, missing) }, (_, i) => before - (missing - i) * width);
  }

  #point(position) {
    const { time, open, high, low, close } = this.series.bars[position];
    return this.display.line ? this.#linePoint(position, close) : { time, open, high, low, close };
  }

  // A line has the colour of a point from there to the next one: what is not known is not drawn.
  #linePoint(position, value) {
    const { time } = this.series.bars[position];
    return this.series.holeBefore(position + 1) ? { time, value, color: UNSEEN } : { time, value };
  }

  // Lines are drawn already up to the bar behind which a hole has turned out to be.
  #breakBefore(position) {
    const { time, close } = this.series.bars[position - 1];
    const late = time < this.lastTime;
    if (this.display.line) this.price.update(this.#linePoint(position - 1, close), late);
    const value = this.bands?.values[position - 1];
    if (value) for (const [name, line] of Object.entries(this.lines)) line.update(this.#linePoint(position - 1, value[name]), time < this.bandsTime);
  }

  #refill() {
    this.series.silences = this.silences;
    if (this.display.line) this.#fillPrice();
    this.#fillBands();
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
    const edge = range.to >= newest - 0.5;
    this.#tag(edge);
    this.onRange({
      near: range.from - oldest < NEAR,
      edge,
      tag: this.tagged,
      bars: range.to - range.from,
      from: visible?.from,
      to: visible?.to,
    });
  }
}
