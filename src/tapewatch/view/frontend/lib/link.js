// The page's socket to the live channel: connects, says its wish, comes back when it breaks.

import { BASE } from "./api.js";

const WAITS_MS = [300, 600, 1200, 2400, 5000];
const SILENT_MS = 12000; // the server sends something every five seconds

export class Link {
  /** `wish()` gives what to subscribe to when a connection stands, `onMessage` takes what comes, `onState` a word. */
  constructor({ wish, onMessage, onState }) {
    Object.assign(this, { wish, onMessage, onState });
    this.failures = 0;
    this.retryAt = 0;
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => this.#retryNow());
  }

  open() {
    clearTimeout(this.timer);
    const url = new URL("api/live", BASE);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(url));
    socket.onopen = () => {
      this.#watch();
      this.say(this.wish());
    };
    socket.onmessage = (event) => {
      this.#watch();
      if (this.failures || this.state !== "open") {
        this.failures = 0;
        this.#become("open");
      }
      this.onMessage(JSON.parse(event.data));
    };
    socket.onclose = () => this.#lost(socket);
  }

  say(wish) {
    if (wish && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(wish));
  }

  #become(state) {
    this.state = state;
    this.onState(state);
  }

  #watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.#lost(this.socket), SILENT_MS);
  }

  #lost(socket) {
    if (socket !== this.socket) return;
    clearTimeout(this.watchdog);
    this.socket = null;
    socket.onclose = null;
    socket.close();
    const wait = WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)] * (0.8 + 0.4 * Math.random());
    this.failures++;
    this.timer = setTimeout(() => this.open(), wait);
    this.#become("lost");
  }

  #retryNow() {
    if (!this.socket && !document.hidden) this.open();
  }
}
