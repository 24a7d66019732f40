// What is known of anomalies, and which of them a filter lists; `matches` is the browser's half of Filter.matches.

const ROWS_MAX = 6000;
const ROWS_KEPT = 4500;
const LARGEST_KEPT = 500;
const SAME_SILENCE_S = 5;
const SILENT = new Set(["silent_feed", "blind_feed"]);

export const matches = (row, filter, now) =>
  filter.severities.includes(row.severity) &&
  (!filter.rules.length || filter.rules.includes(row.rule)) &&
  (!filter.directions.length || filter.directions.includes(row.direction)) &&
  (!filter.symbols.length || filter.symbols.includes(row.symbol)) &&
  (!filter.size || (row.size ?? 0) >= filter.size) &&
  (filter.hour === null
    ? row.ended === null || row.opened >= now - filter.recency
    : row.opened >= filter.hour && row.opened < filter.hour + 3600);

export const newestFirst = (a, b) => b.opened - a.opened || (a.id < b.id ? 1 : -1);
/** What has no size, as a feed's anomalies, comes last. */
export const largestFirst = (a, b) => (b.size ?? 0) - (a.size ?? 0) || newestFirst(a, b);
export const ORDERS = { newest: newestFirst, largest: largestFirst };

/** Make one row of what is one event: the silences of a venue's lanes that began together. */
export const grouped = (rows, order = "newest") => {
  if (order !== "newest") return grouped([...rows].sort(newestFirst)).sort(ORDERS[order]);
  const entries = [];
  const silence = new Map();
  for (const row of [...rows].reverse()) {
    const head = row.rule === "silent_feed" ? silence.get(row.venue) : undefined;
    if (head && row.opened - head.members[0].opened <= SAME_SILENCE_S) {
      head.members.push(row);
      continue;
    }
    const entry = { members: [row] };
    if (row.rule === "silent_feed") silence.set(row.venue, entry);
    entries.push(entry);
  }
  return entries.reverse().map(({ members }) => (members.length === 1 ? members[0] : together(members)));
};

const together = (members) => {
  const largest = members.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  const open = members.find((row) => row.ended === null);
  const last = members.reduce((a, b) => (b.last > a.last ? b : a));
  const everywhere = `, on ${members.length} symbols`;
  return {
    ...largest,
    id: members[0].id,
    opened: members[0].opened,
    members,
    symbol: `${members.length} symbols`,
    last: last.last,
    ended: open ? null : last.ended,
    state: (open ?? last).state,
    sentence: largest.sentence + everywhere,
    explain: largest.explain.replace(" (limit", `${everywhere} (limit`),
  };
};

export class Rows {
  constructor() {
    this.known = new Map();
    this.reach = null; // the oldest row down to which the filter's list is complete; null: to its end
    this.version = 0;
  }

  put(rows) {
    for (const row of rows) this.known.set(row.id, row);
    if (rows.length) this.version++;
    if (this.known.size > ROWS_MAX) this.#prune();
  }

  clear() {
    this.known.clear();
    this.reach = null;
    this.version++;
  }

  /** In order; only as far as nothing is missing between them. */
  list(filter, now, order = "newest") {
    const inOrder = ORDERS[order];
    const listed = [];
    for (const row of this.known.values()) if (matches(row, filter, now)) listed.push(row);
    listed.sort(inOrder);
    if (this.reach === null) return listed;
    return listed.filter((row) => inOrder(row, this.reach) <= 0);
  }

  /** Of one lane, whatever its age: for the chart. */
  ofLane(lane, filter) {
    const forever = { ...filter, symbols: [], recency: Infinity, hour: null };
    const listed = [];
    for (const row of this.known.values()) {
      if (row.symbol === lane.symbol && row.venue === lane.venue && matches(row, forever, 0)) listed.push(row);
    }
    return listed;
  }

  /** [from, to] of each silence of a lane's feed; one that lasts has no end. */
  silences(lane) {
    const spans = [];
    for (const row of this.known.values()) {
      if (!SILENT.has(row.rule) || row.symbol !== lane.symbol || row.venue !== lane.venue) continue;
      spans.push([row.opened, row.ended === null ? Number.MAX_SAFE_INTEGER : row.last]);
    }
    return spans.sort(([a], [b]) => a - b);
  }

  #prune() {
    const largest = new Set([...this.known.values()].sort(largestFirst).slice(0, LARGEST_KEPT));
    const kept = [...this.known.values()]
      .sort(newestFirst)
      .filter((row, i) => i < ROWS_KEPT || row.ended === null || largest.has(row));
    this.known = new Map(kept.map((row) => [row.id, row]));
    const oldest = kept[ROWS_KEPT - 1];
    if (this.reach === null || newestFirst(this.reach, oldest) > 0) this.reach = oldest;
  }
}
