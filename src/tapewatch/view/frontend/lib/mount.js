// From a class to a component: one instance per place in the page, drawn when something that it shows has changed.

import { store } from "./store.js";

/**
 * A part has `topics` (what it shows), `draw(changed)`, and if it likes `listen` (topic → function, called at once)
 * and `destroy()`. Streamlit calls the returned function on every run; only the first one of a place builds anything.
 */
export const mount = (Part, selector) => {
  const parts = new WeakMap();
  return ({ data, parentElement, setStateValue, setTriggerValue }) => {
    let part = parts.get(parentElement);
    store.configure(data);
    if (!part) {
      part = new Part(parentElement.querySelector(selector), setStateValue, setTriggerValue);
      parts.set(parentElement, part);
      part.redraw = ({ detail }) => {
        if (part.topics.some((topic) => detail.has(topic))) part.draw(detail);
      };
      store.addEventListener("change", part.redraw);
      for (const [topic, listener] of Object.entries(part.listen ?? {})) store.addEventListener(topic, listener);
      part.draw(new Set(part.topics));
    }
    return () => {
      parts.delete(parentElement);
      store.removeEventListener("change", part.redraw);
      for (const [topic, listener] of Object.entries(part.listen ?? {})) store.removeEventListener(topic, listener);
      part.destroy?.();
    };
  };
};
