// What is not known is drawn as such: hatched where data are missing, from the last bar before to the first one after.

import { fade } from "../lib/theme.js";
import { number, took } from "../lib/figures.js";

const STEP = 8;
const LEAST = 4; // pixels that a hole takes at least, however short it was
const LABEL_Y = 34; // below the legend
const LINE = 15;

/** Hatch a part of a pane, with an edge where it begins. */
export const hatch = (context, { left, right, height, colour, edge }) => {
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let at = left - height - ((left - height) % STEP); at < right; at += STEP) {
    context.moveTo(at, height);
    context.lineTo(at + height, 0);
  }
  context.stroke();
  context.restore();
  context.fillStyle = edge;
  context.fillRect(left, 0, 1, height);
};

/** ["No data for 52 s", "499 trades missing"]; within one bar nobody knows for how long. */
export const holeWords = ({ from, to, missing }) => {
  const long = to > from ? `No data for ${took(to - from)}` : "";
  const lost = missing ? `${number(missing)} ${missing === 1 ? "trade" : "trades"} missing` : "";
  return long || lost ? [long, lost].filter(Boolean) : ["No data"];
};

/** The holes between two positions: {from, to, missing, left, right}; `x` gives the middle of a bar. */
export const holesIn = (series, first, end, x, spacing) => {
  const holes = [];
  const put = (hole, left, right) => {
    const lacking = Math.max(0, LEAST - (right - left)) / 2;
    holes.push({ ...hole, left: left - lacking, right: right + lacking });
  };
  for (let i = Math.max(0, first); i < Math.min(end + 1, series.bars.length); i++) {
    const { time } = series.bars[i];
    const hole = series.holeBefore(i);
    if (hole) put(hole, x(series.bars[i - 1].time) + spacing / 2, x(time) - spacing / 2);
    const missing = series.missingIn(i);
    if (missing) put({ from: time, to: time, missing }, x(time) - spacing / 2, x(time) + spacing / 2);
  }
  return holes;
};

/** Draw them, with a word in those that have room for it. */
export const drawHoles = (context, holes, { height, colours, font }) => {
  context.font = `400 11px ${font}`;
  context.textBaseline = "middle";
  for (const hole of holes) {
    const { left, right } = hole;
    hatch(context, { left, right, height, colour: fade(colours.muted, 0.34), edge: fade(colours.muted, 0.6) });
    context.fillStyle = fade(colours.muted, 0.6);
    context.fillRect(right - 1, 0, 1, height);
    const lines = holeWords(hole);
    const wide = Math.max(...lines.map((text) => context.measureText(text).width));
    if (wide + 16 > right - left) continue;
    const start = (left + right - wide) / 2;
    context.fillStyle = colours.ground;
    context.fillRect(start - 5, LABEL_Y - 9, wide + 10, 3 + LINE * lines.length);
    context.fillStyle = colours.muted;
    lines.forEach((text, i) => context.fillText(text, start, LABEL_Y + 0.5 + i * LINE));
  }
};
