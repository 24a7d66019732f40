// What stands in the chart's place before the first trade: what is missing, and the commands that bring it.

import { copyButton } from "../lib/copy.js";
import { h, setText } from "../lib/dom.js";

const COMMANDS = [
  ["make demo", "a simulated exchange, offline; first anomaly within 30 s"],
  ["make live", "the real feed of Coinbase"],
  ["tapewatch run --source tape:PATH --speed 60", "a recorded day, sixty times as fast"],
];
const NOBODY =
  "This page is connected, and nothing has been written to its database. " +
  "Start one of these in a terminal; each prints the address of its page.";
const NOTHING = "Symbols are watched, and nothing of them gets through. It is tried again; the line on top says why.";
const SOON = "Symbols are watched already; the first trade appears here as soon as it comes.";

/** `write(watched, ill)` says it anew: whether somebody has begun to watch symbols, and whether these are not to be had. */
export const emptyState = () => {
  const why = h("p");
  const commands = h(
    "dl",
    {},
    COMMANDS.map(([command, what]) => [h("dt", {}, h("code", {}, command), copyButton(command)), h("dd", {}, what)]),
  );
  const title = h("h3");
  const write = (watched, ill) => {
    setText(title, ill ? "No data" : "No trades yet");
    setText(why, ill ? NOTHING : watched ? SOON : NOBODY);
    commands.hidden = watched;
  };
  return { element: h("div", { class: "empty" }, title, why, commands), write };
};
