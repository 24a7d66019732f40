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

/** How long, in one unit while short: "63 s", "4 min", "5 h 12 min"; the twin of figures.duration. */
export const took = (seconds) => {
  if (seconds < 90) return seconds < 1 ? "< 1 s" : `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 5400) return `${minutes} min`;
  if (seconds < 172800) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ""}`;
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

/** Time of day to the second, with the date in front where it is not that of `now`. */
export const moment = (seconds, now) => (day(seconds) === day(now) ? "" : `${iso(seconds).slice(5, 10)} `) + clock(seconds);

export const arrow = (direction) => (direction === "up" ? "↑" : direction === "down" ? "↓" : "");
