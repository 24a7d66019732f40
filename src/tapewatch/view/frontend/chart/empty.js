// What stands in the chart's place before the first trade: what is missing, and the commands that bring it.

import { h, icon, setText } from "../lib/dom.js";

const COMMANDS = [
  ["make demo", "a simulated exchange, offline; first anomaly within 30 s"],
  ["make live", "the real feed of Coinbase"],
  ["tapewatch run --source tape:PATH --speed 60", "a recorded day, sixty times as fast"],
];
const COPY = "M5.5 5.5V3.2c0-.4.3-.7.7-.7h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7h-2.3M3.2 5.5h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7H3.2a.7.7 0 0 1-.7-.7V6.2c0-.4.3-.7.7-.7Z";
const SHOWN_MS = 1500;

const copyButton = (command) => {
  const label = h("span", { class: "spoken", role: "status" });
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${command}`, title: "Copy" }, icon(COPY));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command);
    button.dataset.done = "";
    label.textContent = "copied";
    setTimeout(() => {
      delete button.dataset.done;
      label.textContent = "";
    }, SHOWN_MS);
  });
  return [button, label];
};

const NOBODY =
  "This page is connected, and nothing has been written to its database. " +
  "Start one of these in a terminal; each prints the address of its page.";
const SOON = "Symbols are watched already; the first trade appears here as soon as it comes.";

/** `write(watched)` says it anew: whether somebody has begun to watch symbols, or nobody has. */
export const emptyState = () => {
  const why = h("p");
  const commands = h(
    "dl",
    {},
    COMMANDS.map(([command, what]) => [h("dt", {}, h("code", {}, command), copyButton(command)), h("dd", {}, what)]),
  );
  const write = (watched) => {
    setText(why, watched ? SOON : NOBODY);
    commands.hidden = watched;
  };
  return { element: h("div", { class: "empty" }, h("h3", {}, "No trades yet"), why, commands), write };
};
