// The moving average of closes and the Bollinger bands around it, kept along with the bars; the twin of indicators.py.
// Behind a hole they begin anew: nothing is averaged over what is not known.

export class Bands {
  constructor(series, bars, sigmas) {
    Object.assign(this, { series, bars, sigmas });
    this.values = series.bars.map((_, position) => this.#at(position));
  }

  /** Compute again from a bar that has changed; returns the positions that moved with it. */
  update(position) {
    const moved = [];
    const end = Math.min(this.series.bars.length, position + this.bars);
    for (let i = position; i < end; i++) {
      this.values[i] = this.#at(i);
      moved.push(i);
    }
    return moved;
  }

  #broken(start, position) {
    for (let i = start + 1; i <= position; i++) if (this.series.holeBefore(i)) return true;
    return false;
  }

  // Each window is taken by itself: running sums would lose the digits that matter on prices near 1e5.
  #at(position) {
    const start = position - this.bars + 1;
    if (start < 0 || this.#broken(start, position)) return null;
    const { bars } = this.series;
    let sum = 0;
    for (let i = start; i <= position; i++) sum += bars[i].close;
    const mean = sum / this.bars;
    let squares = 0;
    for (let i = start; i <= position; i++) squares += (bars[i].close - mean) ** 2;
    const width = this.sigmas * Math.sqrt(squares / this.bars);
    return { mean, upper: mean + width, lower: mean - width };
  }
}
