// Everything on the price pane that is no series: band, focus, hatch behind; ribbon, markers and labels in front.

import { SEVERITIES } from "../lib/dom.js";
import { fade } from "../lib/theme.js";
import { drawHoles, hatch, holesIn } from "./holes.js";
import { nextOf, placeLabels, placeMarkers } from "./markers.js";

const RIBBON = 27; // height of the three lanes at the foot of the pane
const LANE = 9;
const TOP = 24; // the legend's room
const REACH = 9; // pixels around a marker's middle that a click may miss

const HOLE = "hole "; // begins the id of one

const view = (zOrder, draw) => ({
  zOrder: () => zOrder,
  renderer: () => ({ draw: (target) => target.useMediaCoordinateSpace(draw) }),
});

/** A primitive of lightweight-charts; `plot` gives bars, bands, rows, colours, and where things stand. */
export class Overlay {
  constructor(plot) {
    this.plot = plot;
    this.markers = [];
    this.ribbons = [];
    this.holes = [];
    const behind = view("bottom", (scope) => this.#behind(scope));
    const before = view("top", (scope) => this.#before(scope));
    this.views = [behind, before];
  }

  attached({ chart, requestUpdate }) {
    this.scale = chart.timeScale();
    this.requestUpdate = requestUpdate;
  }

  detached() {
    this.scale = null;
  }

  paneViews() {
    return this.views;
  }

  hitTest(x, y) {
    const near = ({ x: middle, y: height }) => Math.abs(middle - x) <= REACH && Math.abs(height - y) <= REACH;
    const inside = ({ left, right, top }) => x >= left - 2 && x <= right + 2 && y >= top - 1 && y <= top + LANE - 2;
    const hit = this.markers.find(near) ?? this.ribbons.findLast(inside);
    if (hit) return { externalId: hit.row.id, zOrder: "top", cursorStyle: "pointer" };
    const hole = this.holes.findIndex(({ left, right }) => x >= left - 2 && x <= right + 2);
    return hole < 0 ? null : { externalId: `${HOLE}${hole}`, zOrder: "bottom", cursorStyle: "default" };
  }

  /** What is there that has this id: {rows} of a marker or of the ribbon, or {hole}; with its middle. */
  found(id, { x, y }) {
    if (id.startsWith(HOLE)) return { hole: this.holes[Number(id.slice(HOLE.length))], x, y };
    const marker = this.markers.find(({ row, x: middle, y: height }) => row.id === id && Math.abs(middle - x) <= REACH && Math.abs(height - y) <= REACH);
    if (marker) return { rows: marker.rows, x: marker.x, y: marker.y };
    const ribbon = this.ribbons.find(({ row }) => row.id === id);
    return ribbon && { rows: [ribbon.row], x, y };
  }

  /** Which anomaly a click on the thing of this id means: a marker leads through all that it stands for. */
  picked(id) {
    if (id.startsWith(HOLE)) return null;
    const marker = this.markers.find(({ row }) => row.id === id);
    return marker ? nextOf(marker, this.plot.focused?.id) : id;
  }

  // The middle of the bar in which a time lies; between bars that exist, the nearest one.
  #x(time) {
    const index = this.scale.timeToIndex(time - (time % this.plot.series.width), true);
    return index === null ? null : this.scale.logicalToCoordinate(index);
  }

  #behind({ context, mediaSize: { width, height } }) {
    if (!this.plot.series.bars.length) return;
    this.#band(context);
    this.#holes(context, height);
    this.#focus(context, height);
    if (this.plot.stale) this.#hatch(context, width, height);
  }

  #band(context) {
    const { series, bands, colours, mode } = this.plot;
    const range = this.scale.getVisibleRange();
    if (!bands || !range) return;
    let upper = [];
    let lower = [];
    const fill = () => {
      context.beginPath();
      for (const [x, y] of [...upper, ...lower.reverse()]) context.lineTo(x, y);
      context.closePath();
      context.fillStyle = fade(colours.muted, mode === "dark" ? 0.09 : 0.1);
      if (upper.length > 1) context.fill();
      upper = [];
      lower = [];
    };
    const [first, end] = series.between(range.from - 2 * series.width, range.to + 2 * series.width);
    for (let i = first; i < end; i++) {
      if (series.holeBefore(i)) fill();
      const value = bands.values[i];
      if (!value) continue;
      const x = this.#x(series.bars[i].time);
      upper.push([x, this.plot.y(value.upper)]);
      lower.push([x, this.plot.y(value.lower)]);
    }
    fill();
  }

  #holes(context, height) {
    const { series, colours, font } = this.plot;
    const range = this.scale.getVisibleRange();
    if (!range) return;
    const [first, end] = series.between(range.from - series.width, range.to + series.width);
    this.holes = holesIn(series, first, end, (time) => this.#x(time), this.scale.options().barSpacing);
    drawHoles(context, this.holes, { height, colours, font });
  }

  #focus(context, height) {
    const { colours, focused } = this.plot;
    if (!focused) return;
    const [start, end] = this.#span(focused);
    if (start === null) return;
    const wide = Math.max(5, end - start + 4);
    context.fillStyle = fade(colours.accent, 0.1);
    context.fillRect(start - 2, 0, wide, height);
    context.fillStyle = colours.accent;
    context.fillRect(start - 2, 0, 1, height);
    context.fillRect(start - 2 + wide, 0, 1, height);
  }

  #hatch(context, width, height) {
    const { colours, series } = this.plot;
    const x = this.#x(series.last.time) + this.scale.options().barSpacing / 2 + 1;
    if (x >= width) return;
    hatch(context, { left: x, right: width, height, colour: fade(colours.high, 0.28), edge: colours["high-text"] });
  }

  // First and last x of an anomaly; one that is open reaches to the last bar.
  #span(row) {
    const { series } = this.plot;
    const last = row.ended === null ? series.last.time : Math.min(row.last, series.last.time);
    return [this.#x(Math.max(row.opened, series.first.time)), this.#x(Math.max(last, series.first.time))];
  }

  #before({ context, mediaSize: { width, height } }) {
    this.markers = [];
    this.ribbons = [];
    const range = this.scale.getVisibleRange();
    if (!range || !this.plot.series.bars.length) return;
    const { width: bar, last } = this.plot.series;
    const end = last.time + bar;
    const visible = this.plot.rows.filter(
      (row) => row.opened <= Math.min(range.to + bar, end) && (row.ended === null ? end : row.last) >= range.from,
    );
    this.#ribbon(context, width, height, visible);
    this.#markers(context, width, height, visible);
    this.plot.drawn(this.markers, this.holes);
  }

  #ribbon(context, width, height, rows) {
    const { colours } = this.plot;
    const top = height - RIBBON;
    context.fillStyle = colours.ground;
    context.fillRect(0, top - 4, width, RIBBON + 4);
    SEVERITIES.forEach((severity, i) => {
      const y = top + i * LANE;
      context.fillStyle = fade(colours.muted, 0.1);
      context.fillRect(0, y, width, 6);
      context.fillStyle = colours[severity];
      for (const row of rows) {
        if (row.severity !== severity) continue;
        const [start, end] = this.#span(row);
        if (start === null) continue;
        const wide = Math.max(3, end - start + 2);
        context.fillRect(start - 1, y, wide, 6);
        this.ribbons.push({ row, left: start - 1, right: start - 1 + wide, top: y });
      }
      context.fillStyle = colours.ground;
      context.fillRect(0, y - 2, 20, 10);
      this.#shape(context, severity, 10, y + 3, 4);
    });
  }

  #markers(context, width, height, rows) {
    const { colours, focused } = this.plot;
    const candidates = [];
    for (const row of rows) {
      if (row.kind === "feed") continue; // it has no price to stand at; the ribbon has it
      const bar = this.plot.series.before(row.peak_at);
      const x = this.#x(row.peak_at);
      if (!bar || x === null || x < 0 || x > width) continue;
      const up = row.direction === "up";
      candidates.push({ row, x, up, base: this.plot.y(up ? bar.high : bar.low) });
    }
    const spacing = this.scale.options().barSpacing;
    const worst = SEVERITIES.find((severity) => this.plot.rows.some((row) => row.severity === severity));
    const bounds = { top: TOP, bottom: height - RIBBON - 10, spacing, focus: focused?.id, worst };
    this.markers = placeMarkers(candidates, bounds);
    for (const marker of this.markers) this.#marker(context, marker);
    context.font = `600 11px ${this.plot.font}`;
    context.textBaseline = "middle";
    const measure = (text) => context.measureText(text).width;
    for (const { text, x, y, width: wide } of placeLabels(this.markers, { right: width, measure })) {
      context.fillStyle = colours["high-tint"];
      context.beginPath();
      context.roundRect(x, y - 8, wide, 16, 3);
      context.fill();
      context.fillStyle = colours["high-text"];
      context.fillText(text, x + 4, y + 0.5);
    }
  }

  #marker(context, { row, rows, x, y, radius, alpha, base, up }) {
    const { colours, focused } = this.plot;
    context.globalAlpha = alpha;
    if (row.severity === "high") {
      context.strokeStyle = fade(colours.muted, 0.5);
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, base + (up ? -2 : 2));
      context.lineTo(x, y + (up ? radius : -radius));
      context.stroke();
    }
    this.#shape(context, row.severity, x, y, radius);
    context.globalAlpha = 1;
    if (!rows.some(({ id }) => id === focused?.id)) return;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x, y, radius + 3.5, 0, 2 * Math.PI);
    context.stroke();
  }

  // The same shapes as everywhere: diamond, square, ring.
  #shape(context, severity, x, y, radius) {
    context.fillStyle = context.strokeStyle = this.plot.colours[severity];
    context.beginPath();
    if (severity === "high") {
      context.moveTo(x, y - radius);
      context.lineTo(x + radius, y);
      context.lineTo(x, y + radius);
      context.lineTo(x - radius, y);
      context.closePath();
      context.fill();
    } else if (severity === "medium") {
      const half = radius * 0.8;
      context.fillRect(x - half, y - half, 2 * half, 2 * half);
    } else {
      context.arc(x, y, radius * 0.72, 0, 2 * Math.PI);
      context.lineWidth = 1.5;
      context.stroke();
    }
  }
}
