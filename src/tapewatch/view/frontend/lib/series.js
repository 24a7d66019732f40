// The bars of one lane and width, oldest first; history comes once, then only what has changed.

/** Values of a bar as they come over the wire. */
const FIELDS = ["time", "open", "high", "low", "close", "volume", "count"];

const barOf = (values, start = 0) => Object.fromEntries(FIELDS.map((name, i) => [name, values[start + i]]));

export class Series {
  constructor(width) {
    this.width = width;
    this.bars = [];
    this.positions = new Map();
  }

  get last() {
    return this.bars.at(-1);
  }

  get first() {
    return this.bars[0];
  }

  /** Take bars as a flat array of seven numbers each, before those that are there. */
  prepend(flat) {
    const older = [];
    const end = this.first?.time ?? Infinity;
    for (let at = 0; at < flat.length; at += FIELDS.length) {
      if (flat[at] < end) older.push(barOf(flat, at));
    }
    this.bars = older.concat(this.bars);
    this.#renumber();
    return older.length;
  }

  /** Put one bar in its place; returns its position. */
  merge(values) {
    const bar = barOf(values);
    const known = this.positions.get(bar.time);
    if (known !== undefined) {
      this.bars[known] = bar;
      return known;
    }
    if (!this.bars.length || bar.time > this.last.time) {
      this.positions.set(bar.time, this.bars.length);
      return this.bars.push(bar) - 1;
    }
    this.bars.splice(this.#after(bar.time), 0, bar); // the first trade of a bucket came late
    this.#renumber();
    return this.positions.get(bar.time);
  }

  /** Forget the oldest bars. */
  trim(count) {
    this.bars = this.bars.slice(-count);
    this.#renumber();
  }

  at(time) {
    return this.bars[this.positions.get(time - (time % this.width))];
  }

  /** The bar at a time, or the last one before it. */
  before(time) {
    return this.bars[this.#after(time) - 1];
  }

  /** Positions of the bars between two times: the first one, and the one behind the last. */
  between(start, end) {
    return [Math.max(0, this.#after(start) - 1), this.#after(end)];
  }

  /** Trades in the minute before a time, as far as the bars tell. */
  tradesAMinute(now) {
    if (this.width === 60) return this.at(now - 60)?.count ?? 0;
    let trades = 0;
    for (let i = this.bars.length - 1; i >= 0 && this.bars[i].time > now - 60; i--) trades += this.bars[i].count;
    return trades;
  }

  #after(time) {
    let low = 0;
    let high = this.bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.bars[middle].time <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #renumber() {
    this.positions = new Map(this.bars.map((bar, position) => [bar.time, position]));
  }
}
