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
