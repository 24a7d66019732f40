// What is asked for once: bars as they were, anomalies in pages. Same origin, whatever path we are served under.

export const BASE = new URL("../../../../", import.meta.url);

const read = async (path, query = {}) => {
  const url = new URL(`api/${path}`, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && String(value) !== "") url.searchParams.set(name, value);
  }
  return checked(await fetch(url, { cache: "no-store" }), url);
};

const checked = async (response, url) => {
  const kind = response.headers.get("content-type") ?? "";
  if (response.ok && !kind.startsWith("text/html")) return response;
  const answer = kind.startsWith("application/json") ? await response.json() : {};
  const error = new Error(answer.error ?? `${url.pathname} answered ${response.status}`);
  throw Object.assign(error, { status: response.status });
};

/** Whether the same may be answered later: nobody was there, or the database could not be read just then. */
export const passes = ({ status }) => status === undefined || status === 503;

/** Newest bars of a lane, or those before a time: a flat array of nine numbers a bar, and the place they stem from. */
export const fetchBars = async ({ venue, symbol }, width, { before = null, limit = 2000 } = {}) => {
  const response = await read("bars", { venue, symbol, width, before, limit });
  const header = (name) => response.headers.get(`tapewatch-${name}`);
  return {
    place: { epoch: header("epoch"), revision: Number(header("revision")), seq: Number(header("seq")) },
    flat: new Float64Array(await response.arrayBuffer()),
  };
};

/** A page of the log under a filter; `after` is the last row of the page before. */
export const fetchRows = async (filter, { after = null, order = "newest", limit = 200 } = {}) => {
  const query = {
    severities: filter.severities.join(","),
    rules: filter.rules.join(","),
    directions: filter.directions.join(","),
    symbols: filter.symbols.join(","),
    recency_s: filter.hour === null ? filter.recency : 3600,
    until: filter.hour === null ? null : filter.hour + 3600,
    min_size: filter.size || null,
    order,
    before: after?.opened,
    before_id: after?.id,
    limit,
  };
  return (await read("anomalies", query)).json();
};

/** What was abnormal on a lane between two times. */
export const fetchSpan = async ({ venue, symbol }, start, end) =>
  (await read("span", { venue, symbol, start: Math.max(0, start), end })).json();

/** One anomaly of any age: its row, who was told of it, what was said of it. */
export const fetchAnomaly = async (id) => (await read("anomaly", { id })).json();

/** What people said of anomalies, the latest. */
export const fetchMarks = async () => (await read("marks")).json();

/** Channels, silences, what was not delivered, and precision by day or week. */
export const fetchAlerting = async (by) => (await read("alerting", { by })).json();

/** A page of alerts under a filter; `after` is the last row of the page before. */
export const fetchAlerts = async ({ channel, outcomes, symbol, within }, { after = null, limit = 200 } = {}) => {
  const before = after && { before: after.at_ns, before_seq: after.seq, before_channel: after.channel };
  const query = { channels: channel, outcomes: outcomes.join(","), symbols: symbol, within_s: within, limit };
  return (await read("alerts", { ...query, ...before })).json();
};

/** A message as it was sent, with its attempts. */
export const fetchMessage = async (number) => (await read("message", { number })).json();

/** Where the labels lie as a file. */
export const labelsAddress = (form) => new URL(`api/labels?form=${form}`, BASE).href;

/** Ask alerting for something; returns whether it was done, and a sentence; `lost` where nobody answered. */
export const request = async (kind, wanted) => {
  const url = new URL("api/ask", BASE);
  const body = JSON.stringify({ kind, arguments: wanted });
  try {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    return await (await checked(response, url)).json();
  } catch (error) {
    return { done: false, said: error.message, lost: true };
  }
};
