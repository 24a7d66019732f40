// Numbers and times as people read them: minus is U+2212, a sign where change is meant, times are UTC.

const MINUS = "\u2212";
const formats = new Map();

const format = (decimals) => {
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en-US", digits));
  }
  return formats.get(decimals);
};

export const number = (value, decimals = 0) => {
  const text = format(decimals).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
};

/** A volume in few characters: 950, 12 k, 3.4 M. */
export const volume = (value) => {
  const [divisor, unit] = value >= 1e9 ? [1e9, " bn"] : value >= 1e6 ? [1e6, " M"] : value >= 1e3 ? [1e3, " k"] : [1, ""];
  const scaled = value / divisor;
  return number(scaled, scaled >= 100 || Number.isInteger(scaled) ? 0 : scaled >= 1 ? 1 : 2) + unit;
};

const iso = (seconds) => new Date(seconds * 1000).toISOString();
const day = (seconds) => Math.floor(seconds / 86400);

export const clock = (seconds) => iso(seconds).slice(11, 19);
export const clockMinutes = (seconds) => iso(seconds).slice(11, 16);
/** Over how long a change is: the last hour, or since when less is known. */
export const span = (since) => (since === null ? "1 h" : `since ${clockMinutes(since)}`);

export const date = (seconds) => iso(seconds).slice(0, 10);

/** The minute, with the date in front where it is not that of `now`. */
export const minute = (seconds, now) =>
  (day(seconds) === day(now) ? "" : `${iso(seconds).slice(5, 10)} `) + clockMinutes(seconds);

/** Time of day, with the date in front where it is not that of `now`. */
export const moment = (seconds, now) => (day(seconds) === day(now) ? clock(seconds) : minute(seconds, now));

export const arrow = (direction) => (direction === "up" ? "↑" : direction === "down" ? "↓" : "");
