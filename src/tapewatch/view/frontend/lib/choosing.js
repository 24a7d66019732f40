// Links that choose among the filters: a count leads to its rows. The filters are Streamlit's, which is told by a part.

import { h } from "./dom.js";
import { go } from "./pages.js";
import { store } from "./store.js";

/** What `choices` ({severity: ["High"], size: "≥ 4×", …}) would be in the address. */
const addressOf = (choices) => {
  const url = new URL(location.href);
  url.searchParams.delete("page");
  for (const [name, chosen] of Object.entries(choices)) {
    url.searchParams.delete(name);
    for (const each of [chosen].flat()) url.searchParams.append(name, each);
  }
  return url;
};

const choose = (choices) => {
  if (store.page) go({ page: "" });
  if (store.hour !== null) store.arrange({ hour: null });
  if (store.focus) store.look(null); // who asks for all of these looks no longer at that one
  store.chooser?.(choices); // set by the part that can tell Streamlit
  document.querySelector(".st-key-under")?.scrollIntoView({ block: "nearest" });
};

/** A link that needs no new page where it is simply clicked; `choicesNow()` tells what it chooses by then. */
export const choiceLink = (choicesNow, attributes, ...content) => {
  const link = h("a", { ...attributes, href: addressOf(choicesNow()) }, content);
  link.addEventListener("pointerover", () => (link.href = addressOf(choicesNow())));
  link.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    choose(choicesNow());
  });
  return link;
};
