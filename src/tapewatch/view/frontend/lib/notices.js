// Sound and desktop notices of high anomalies, off until somebody asks for them with a click.

import { store } from "./store.js";

const STORED = "tapewatch.alerts";
const QUIET_MS = 4000; // between two notices; a crash opens dozens

class Notices {
  constructor() {
    this.on = localStorage.getItem(STORED) === "on";
    this.saidAt = -Infinity;
    this.missed = 0;
    store.addEventListener("happened", ({ detail }) => this.#hear(detail));
    document.addEventListener("visibilitychange", () => document.hidden || this.#seen());
  }

  /** Called from a click, which is what browsers ask for before they play or notify. */
  async toggle() {
    this.on = !this.on;
    localStorage.setItem(STORED, this.on ? "on" : "off");
    store.touch("notices");
    if (!this.on) return;
    this.#play();
    if ("Notification" in globalThis && Notification.permission === "default") await Notification.requestPermission();
  }

  #hear(happened) {
    const high = happened
      .filter(([, , change]) => change === "opened")
      .map(([, id]) => store.rows.known.get(id))
      .filter((row) => row?.severity === "high");
    if (!high.length) return;
    if (document.hidden) {
      this.missed += high.length;
      document.title = `(${this.missed}) tapewatch`;
    }
    if (!this.on || performance.now() - this.saidAt < QUIET_MS) return;
    this.saidAt = performance.now();
    const worst = high.reduce((a, b) => ((b.size ?? 0) > (a.size ?? 0) ? b : a));
    this.#play();
    if (document.hidden && "Notification" in globalThis && Notification.permission === "granted") {
      const notice = new Notification(`High: ${worst.type}`, { body: worst.explain, tag: "tapewatch" });
      notice.onclick = () => {
        focus();
        store.select(worst, { focus: worst.id });
      };
    }
  }

  #seen() {
    this.missed = 0;
    document.title = "tapewatch";
  }

  // Two short tones, a fourth apart: heard beside talk, and over before they annoy.
  #play() {
    this.audio ??= new AudioContext();
    this.audio.resume();
    [660, 880].forEach((pitch, i) => {
      const start = this.audio.currentTime + i * 0.14;
      const tone = this.audio.createOscillator();
      const loudness = this.audio.createGain();
      tone.frequency.value = pitch;
      loudness.gain.setValueAtTime(0, start);
      loudness.gain.linearRampToValueAtTime(0.12, start + 0.01);
      loudness.gain.exponentialRampToValueAtTime(0.001, start + 0.13);
      tone.connect(loudness).connect(this.audio.destination);
      tone.start(start);
      tone.stop(start + 0.14);
    });
  }
}

export const notices = (globalThis[Symbol.for("tapewatch.notices")] ??= new Notices());
