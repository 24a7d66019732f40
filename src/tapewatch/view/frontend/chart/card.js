// What stands beside the pointer while it is over a marker, the ribbon or a hole: what is there, in words.

import { h, setChildren, shape } from "../lib/dom.js";
import { arrow, clock, moment } from "../lib/figures.js";
import { holeWords } from "./holes.js";

const LISTED = 8;
const AWAY = 16; // pixels from what it is about

export class Card {
  constructor() {
    this.element = h("div", { class: "hover-card", role: "tooltip", hidden: true });
  }

  /** `found` is {rows, x, y} or {hole, x, y}; null hides it. `room` is {width, height} of the chart. */
  show(found, now, room) {
    this.element.hidden = !found;
    if (!found) return;
    const { rows, hole, x, y } = found;
    const key = rows ? rows.map((row) => row.id + row.peak + row.state).join() : JSON.stringify(hole);
    setChildren(this.element, key, () => (rows ? anomalies(rows, now) : missing(hole, now)));
    const { offsetWidth: wide, offsetHeight: tall } = this.element;
    const left = x + AWAY + wide < room.width ? x + AWAY : Math.max(4, x - AWAY - wide);
    const top = Math.min(Math.max(4, y - tall / 2), Math.max(4, room.height - tall - 4));
    Object.assign(this.element.style, { left: `${left}px`, top: `${top}px` });
  }
}

const anomalies = (rows, now) => {
  if (rows.length === 1) return one(rows[0], now);
  const more = rows.length - LISTED;
  return [
    h("p", { class: "muted" }, `${rows.length} at ${moment(rows[0].peak_at, now)}; a click goes from one to the next`),
    h("table", {}, rows.slice(0, LISTED).map(line)),
    more > 0 ? h("p", { class: "muted" }, `and ${more} more`) : null,
  ];
};

const line = (row) =>
  h("tr", {}, h("td", {}, shape(row.severity), " ", arrow(row.direction), " ", row.type), h("td", { class: "right" }, row.peak), h("td", { class: "right muted" }, row.limit));

const one = (row, now) => [
  h("p", {}, shape(row.severity), h("b", {}, ` ${row.type} `), `${arrow(row.direction)} ${row.peak} `, h("span", { class: "muted" }, row.limit)),
  h("p", {}, row.sentence),
  h("p", { class: "muted" }, `${moment(row.opened, now)} · ${row.state}`),
];

const missing = (hole, now) => [
  h("p", {}, h("b", {}, holeWords(hole).join(", "))),
  h("p", { class: "muted" }, hole.to > hole.from ? `${moment(hole.from, now)} to ${clock(hole.to)}` : `at ${moment(hole.from, now)}`),
];
