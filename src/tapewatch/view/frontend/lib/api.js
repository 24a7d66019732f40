// What is asked for once: bars as they were, anomalies in pages. Same origin, whatever path we are served under.

export const BASE = new URL("../../../../", import.meta.url);

const ask = async (path, query) => {
  const url = new URL(`api/${path}`, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && String(value) !== "") url.searchParams.set(name, value);
  }
  const response = await fetch(url, { cache: "no-store" });
  const kind = response.headers.get("content-type") ?? "";
  if (response.ok && !kind.startsWith("text/html")) return response;
  const answer = kind.startsWith("application/json") ? await response.json() : {};
  throw new Error(answer.error ?? `${url.pathname} answered ${response.status}`);
};

/** Newest bars of a lane, or those before a time: a flat array of seven numbers a bar, and the place they stem from. */
export const fetchBars = async ({ venue, symbol }, width, { before = null, limit = 2000 } = {}) => {
  const response = await ask("bars", { venue, symbol, width, before, limit });
  const header = (name) => response.headers.get(`tapewatch-${name}`);
  return {
    place: { epoch: header("epoch"), revision: Number(header("revision")), seq: Number(header("seq")) },
    flat: new Float64Array(await response.arrayBuffer()),
  };
};

/** A page of the log under a filter; `after` is the last row of the page before. */
export const fetchRows = async (filter, { after = null, limit = 200 } = {}) => {
  const query = {
    severities: filter.severities.join(","),
    rules: filter.rules.join(","),
    directions: filter.directions.join(","),
    symbols: filter.symbols.join(","),
    recency_s: filter.recency,
    before: after?.opened,
    before_id: after?.id,
    limit,
  };
  return (await ask("anomalies", query)).json();
};

/** What was abnormal on a lane between two times. */
export const fetchSpan = async ({ venue, symbol }, start, end) =>
  (await ask("span", { venue, symbol, start: Math.max(0, start), end })).json();
