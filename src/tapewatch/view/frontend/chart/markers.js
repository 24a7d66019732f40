// Where markers and their labels go: the largest first, none over another; what finds no place is still in the ribbon.

import { SEVERITIES } from "../lib/dom.js";

const RADIUS = { high: 3.6, medium: 3, low: 3 }; // of what is just at its limit …
const GROWTH = { high: 1.3, medium: 0.9, low: 0.9 }; // … and how much each doubling adds
const DOUBLINGS = 5;
const FAINTEST = 0.45;
const FIRST = 6.5; // from the bar's end to the nearest marker
const STEP = 14;
const LEVELS = 3;
const AIR = 1.5;
const LABELS = 4;
const LABEL_HEIGHT = 16;

const doublings = ({ size }) => Math.min(DOUBLINGS, Math.max(0, Math.log2(size ?? 1)));

/** How large a marker is, and how solid: a crash must not look like what is just at its limit. */
export const weightOf = (row) => ({
  radius: RADIUS[row.severity] + GROWTH[row.severity] * doublings(row),
  alpha: Math.min(1, FAINTEST + 0.2 * doublings(row)),
});

/** The least size that a marker needs, by severity, when bars are so many pixels wide. */
export const leastRatio = (spacing) => ({
  high: 0,
  medium: spacing < 5 ? 2.5 : spacing < 9 ? 1.5 : 0,
  low: spacing < 9 ? Infinity : 0,
});

const worstFirst = (a, b) =>
  SEVERITIES.indexOf(a.row.severity) - SEVERITIES.indexOf(b.row.severity) || (b.row.size ?? 0) - (a.row.size ?? 0);

const apart = (x, y, radius, other) =>
  Math.abs(other.x - x) >= radius + other.radius + AIR || Math.abs(other.y - y) >= radius + other.radius + AIR;

/** Bring together what peaks at the same moment on the same side; the worst speaks for all, which stand in `rows`. */
const together = (candidates) => {
  const peaks = new Map();
  for (const each of [...candidates].sort(worstFirst)) {
    const key = `${each.row.peak_at}|${each.up}`;
    if (peaks.has(key)) peaks.get(key).rows.push(each.row);
    else peaks.set(key, { ...each, rows: [each.row] });
  }
  return [...peaks.values()];
};

/** What a marker is labelled with: the peak, and of how many where it is that of several. */
export const labelOf = ({ row, rows }) => (rows.length > 1 ? `${row.peak} ×${rows.length}` : row.peak);

/** The one of a marker's anomalies that a click leads to: the first, and from each that is looked at to the next. */
export const nextOf = ({ rows }, focus) => rows[(rows.findIndex(({ id }) => id === focus) + 1) % rows.length].id;

/**
 * Place markers.
 *
 * `candidates` are {row, x, base, up}: the anomaly, the middle of its bar, the bar's end on its side, and the side.
 * Markers stay between `top` and `bottom`. Of the `worst` severity that is chosen at all, all are worth a marker. Returns {row, rows, x, y, radius, alpha, base, up} each.
 */
export const placeMarkers = (candidates, { top, bottom, spacing, focus, worst = "high" }) => {
  const least = { ...leastRatio(spacing), [worst]: 0 };
  const placed = [];
  for (const { row, rows, x, base, up } of together(candidates)) {
    if ((row.size ?? 0) < least[row.severity] && !rows.some(({ id }) => id === focus)) continue;
    const { radius, alpha } = weightOf(row);
    for (let level = 0; level < LEVELS; level++) {
      const y = base + (up ? -1 : 1) * (FIRST + radius + level * STEP);
      if (y < top || y > bottom || !placed.every((other) => apart(x, y, radius, other))) continue;
      placed.push({ row, rows, x, y, radius, alpha, base, up });
      break;
    }
  }
  return placed;
};

/** Label the largest high markers with their peak; `measure` gives a text's width. Returns {marker, text, x, y, width}. */
export const placeLabels = (markers, { right, measure }) => {
  const taken = markers.map(({ x, y, radius }) => ({ left: x - radius, right: x + radius, y, radius }));
  const labels = [];
  for (const marker of markers.filter(({ row }) => row.severity === "high").slice(0, LABELS)) {
    const text = labelOf(marker);
    const width = measure(text) + 8;
    const own = taken[markers.indexOf(marker)];
    const free = (x) =>
      x >= 2 &&
      x + width <= right - 4 &&
      taken.every(
        (other) =>
          other === own ||
          other.right < x - 1 ||
          other.left > x + width + 1 ||
          Math.abs(other.y - marker.y) > other.radius + LABEL_HEIGHT / 2,
      );
    const x = [marker.x + marker.radius + 4, marker.x - marker.radius - 4 - width].find(free);
    if (x === undefined) continue;
    labels.push({ marker, text, x, y: marker.y, width });
    taken.push({ left: x, right: x + width, y: marker.y, radius: LABEL_HEIGHT / 2 });
  }
  return labels;
};
