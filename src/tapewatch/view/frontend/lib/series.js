// The bars of one lane and width, oldest first; history comes once, then only what has changed.

/** Values of a bar as they come over the wire. */
const FIELDS = ["time", "open", "high", "low", "close", "volume", "count", "first", "last"];

const OUTAGE_S = 10; // as in detection, where nothing is compared across so much without a trade

const barOf = (values, start = 0) => Object.fromEntries(FIELDS.map((name, i) => [name, values[start + i]]));

export class Series {
  /** `counted`: whether the venue counts its trades without a break, so that ids tell how many are missing. */
  constructor(width, counted = false) {
    Object.assign(this, { width, counted });
    this.silences = []; // [from, to] in which the feed of this lane was silent
    this.bars = [];
    this.positions = new Map();
  }

  get last() {
    return this.bars.at(-1);
  }

  get first() {
    return this.bars[0];
  }

  /** Take bars as a flat array of nine numbers each, before those that are there. */
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

  /**
   * The hole right before a bar: {from, to, missing}, or null where nothing is known to be missing there.
   *
   * A stretch without a bar is none of itself: nobody may have traded. It is one where ids are missing between the two
   * bars, where the numbering begins anew after it, or where the feed was silent in it.
   */
  holeBefore(position) {
    const [bar, next] = [this.bars[position - 1], this.bars[position]];
    if (!bar || !next) return null;
    const [from, to] = [bar.time + this.width, next.time];
    const missing = this.counted ? Math.max(0, next.first - bar.last - 1) : 0;
    const anew = this.counted && next.last < bar.first && to - bar.time > OUTAGE_S;
    const silent = () => from < to && this.silences.some(([start, end]) => start < to && end > from);
    return missing || anew || silent() ? { from, to, missing } : null;
  }

  /** How many trades are missing among those of a bar, but for those that its neighbours have. */
  missingIn(position) {
    if (!this.counted) return 0;
    const bar = this.bars[position];
    const shared = (other) => (other ? Math.max(0, Math.min(bar.last, other.last) - Math.max(bar.first, other.first) + 1) : 0);
    const others = shared(this.bars[position - 1]) + shared(this.bars[position + 1]);
    return Math.max(0, bar.last - bar.first + 1 - bar.count - others);
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
