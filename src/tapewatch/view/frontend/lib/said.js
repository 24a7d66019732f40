// What people said of anomalies, and who was told of the one that is looked at; read again when that may have changed.

import { fetchAnomaly, fetchMarks } from "./api.js";
import { store } from "./store.js";

const AGAIN_MS = 2000;

class Said {
  constructor() {
    this.marks = new Map();
    this.story = null; // {id, told, mark} of the anomaly that is looked at
    store.addEventListener("change", ({ detail }) => {
      if (detail.has("alerting")) this.#heard();
      if (detail.has("focus")) this.#tell();
    });
    if (store.alerting) this.#heard();
  }

  markOf(id) {
    return this.marks.get(id) ?? null;
  }

  #heard() {
    const { mark, said } = store.alerting;
    if (said !== this.said) this.#readMarks(said);
    if (mark !== this.mark) this.#tell();
    this.mark = mark;
  }

  async #readMarks(said) {
    this.said = said;
    try {
      const { marks } = await fetchMarks();
      this.marks = new Map(marks.map((mark) => [mark.anomaly, mark]));
      store.touch("said");
    } catch {
      setTimeout(() => this.said === said && this.#readMarks(said), AGAIN_MS);
    }
  }

  async #tell() {
    const id = store.focus;
    if (this.story?.id !== id) this.story = null;
    if (id === null) return;
    try {
      const { told, mark } = await fetchAnomaly(id);
      if (store.focus !== id) return;
      this.story = { id, told, mark };
      store.touch("said");
    } catch {
      setTimeout(() => store.focus === id && this.#tell(), AGAIN_MS);
    }
  }
}

export const said = (globalThis[Symbol.for("tapewatch.said")] ??= new Said());
