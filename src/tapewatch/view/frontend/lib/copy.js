// A command, and a button that copies it.

import { h, icon } from "./dom.js";

const COPY = "M5.5 5.5V3.2c0-.4.3-.7.7-.7h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7h-2.3M3.2 5.5h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7H3.2a.7.7 0 0 1-.7-.7V6.2c0-.4.3-.7.7-.7Z";
const SHOWN_MS = 1500;

/** `name` says what is copied where it is too long to be read out. */
export const copyButton = (text, name = text) => {
  const label = h("span", { class: "spoken", role: "status" });
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${name}`, title: "Copy" }, icon(COPY));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.dataset.done = "";
    label.textContent = "copied";
    setTimeout(() => {
      delete button.dataset.done;
      label.textContent = "";
    }, SHOWN_MS);
  });
  return [button, label];
};
