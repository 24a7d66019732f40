// Which page is shown stands in the address: a link can be shared, and the browser's own buttons lead back.

import { h } from "./dom.js";
import { store } from "./store.js";

const addressOf = ({ page, anomaly }) => {
  const url = new URL(location.href);
  if (page) url.searchParams.set("page", page);
  else url.searchParams.delete("page");
  if (anomaly) url.searchParams.set("anomaly", anomaly);
  return url;
};

/** Show a page, and on the market's an anomaly. */
export const go = (place) => {
  const url = addressOf(place);
  if (url.href !== location.href) history.pushState(history.state, "", url);
  store.turn(place.page);
  show(); // at once: a chart that is not shown has no size to find its place in
  document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0);
  if (place.anomaly) store.find(place.anomaly);
};

/** A link that needs no new page where it is simply clicked. */
export const linkTo = (place, ...content) => {
  const link = h("a", { href: addressOf(place) }, content);
  link.addEventListener("pointerover", () => (link.href = addressOf(place))); // as the address is by now
  link.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(place);
  });
  return link;
};

const show = () => (document.documentElement.dataset.page = store.page);

const returned = () => {
  const url = new URLSearchParams(location.search);
  store.turn(url.get("page") ?? "");
  const anomaly = url.get("anomaly");
  if (anomaly && anomaly !== store.focus && store.lane) store.find(anomaly);
};

if (!globalThis[Symbol.for("tapewatch.pages")]) {
  globalThis[Symbol.for("tapewatch.pages")] = true;
  addEventListener("popstate", returned);
  store.addEventListener("change", ({ detail }) => detail.has("page") && show());
  show();
}
