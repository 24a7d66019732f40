// What a cool-down held back is one row: what is like it was told, and dozens of rows would say no more.

import { keyOf } from "./book.js";

const subjectOf = ({ channel, symbol, type }) => [channel, symbol, type].join("|");

const together = (members) => {
  const largest = members.reduce((a, b) => ((b.size ?? 0) > (a.size ?? 0) ? b : a));
  const [newest, oldest] = [members[0], members.at(-1)];
  return { ...newest, key: `fold ${keyOf(oldest)}`, members, largest, from: oldest.at };
};

/**
 * Rows as the list shows them, newest first: of what was muted in one direction between two alerts of a channel, symbol
 * and type that were not, one row in the place of the newest of them, with its `members`; behind it these, where its key
 * is in `unfolded`.
 */
export const folded = (rows, unfolded) => {
  const runs = new Map();
  const entries = [];
  for (const row of rows) {
    const subject = subjectOf(row);
    if (!row.muted) runs.delete(subject);
    const run = runs.get(subject)?.get(row.direction);
    if (run) {
      run.push(row);
      continue;
    }
    const members = [row];
    entries.push(members);
    if (!row.muted) continue;
    if (!runs.has(subject)) runs.set(subject, new Map());
    runs.get(subject).set(row.direction, members);
  }
  return entries.flatMap((members) => {
    if (members.length === 1) return [{ ...members[0], key: keyOf(members[0]) }];
    const head = together(members);
    head.unfolded = unfolded.has(head.key);
    const inside = members.map((row) => ({ ...row, key: keyOf(row), inside: true }));
    return head.unfolded ? [head, ...inside] : [head];
  });
};
