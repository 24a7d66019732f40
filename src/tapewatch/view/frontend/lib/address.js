// What stands in the address and is not Streamlit's: symbol, width, anomaly, order and hour; the page is pages.js's.

const WIDTHS = [1, 10, 60];
const WIDTH = 10; // need not be said

/** "2025-10-10T14": the second at which that hour begins, null for what is none. */
const hourOf = (text) => {
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}$/.test(text ?? "") ? Date.parse(`${text}:00:00Z`) / 1000 : NaN;
  return Number.isNaN(at) ? null : at;
};

export const readAddress = () => {
  const url = new URLSearchParams(location.search);
  return {
    symbol: url.get("symbol"),
    width: WIDTHS.includes(Number(url.get("bars"))) ? Number(url.get("bars")) : null,
    anomaly: url.get("anomaly"),
    page: url.get("page") ?? "",
    order: url.get("sort") === "size" ? "largest" : "newest",
    hour: hourOf(url.get("hour")),
  };
};

export const writeAddress = ({ lane, wishedWidth, focus, order, hour }) => {
  const url = new URL(location.href);
  const write = (name, value, needless = null) =>
    value === needless ? url.searchParams.delete(name) : url.searchParams.set(name, value);
  if (lane) write("symbol", lane.symbol);
  write("bars", wishedWidth === WIDTH ? null : wishedWidth);
  write("anomaly", focus);
  write("sort", order === "largest" ? "size" : null);
  write("hour", hour === null ? null : new Date(hour * 1000).toISOString().slice(0, 13));
  if (url.href !== location.href) history.replaceState(history.state, "", url);
};
