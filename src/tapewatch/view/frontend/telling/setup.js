// What stands in the list's place where nobody is to be told: the lines that change that.

import { copyButton } from "../lib/copy.js";
import { h } from "../lib/dom.js";

const LINES = `[[alerts.channels]]
name = "phone"
url = "ntfy://my-topic"     # or mailto://…, slack://…, tgram://…
severity = "high"           # the lowest that it takes
symbols = ["BTC-*", "ETH-*"]`;
const COMMANDS = [
  ["tapewatch alerts test", "sends a sample to every channel, and says what came of it"],
  ["tapewatch run", "tells them from then on; beside tapewatch detect it is tapewatch alerts run"],
];

export const setup = () =>
  h(
    "div",
    { class: "setup" },
    h("h3", {}, "Nobody is told yet"),
    h("p", { class: "muted" }, "Anomalies are found and shown, and no channel is configured that would tell them. Write this into tapewatch.toml, then start tapewatch again:"),
    h("div", { class: "toml" }, h("pre", {}, LINES), copyButton(LINES, "these lines")),
    h("dl", {}, COMMANDS.map(([command, what]) => [h("dt", {}, h("code", {}, command), copyButton(command)), h("dd", {}, what)])),
  );
