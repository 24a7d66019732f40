// Small helpers to build and update elements; text is always set as text, never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Write text only where it has changed: an element that is rewritten loses the reader's selection. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** Set an attribute; null takes it away. */
export const setAttribute = (element, name, value) => {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

/** Replace the children only where `key` says that they have changed; the focus stays on what has the same name. */
export const setChildren = (element, key, make) => {
  if (element.shownKey === key) return false;
  element.shownKey = key;
  const held = focused(element);
  element.replaceChildren(...[make()].flat().filter(Boolean));
  const name = held?.getAttribute("aria-label");
  if (name) element.querySelector(`[aria-label="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
  return true;
};

/** What inside an element has the focus, or null. */
export const focused = (element) => {
  const { activeElement } = element.getRootNode();
  return activeElement && element.contains(activeElement) ? activeElement : null;
};

export const SEVERITIES = ["high", "medium", "low"];
export const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** One shape per severity, everywhere the same: diamond, square, ring. */
export const shape = (severity, size = 10, label = "") => {
  const figure = {
    high: () => s("path", { d: "M6 .4 11.6 6 6 11.6 .4 6Z", fill: "currentColor" }),
    medium: () => s("rect", { x: 1.6, y: 1.6, width: 8.8, height: 8.8, rx: 1, fill: "currentColor" }),
    low: () => s("circle", { cx: 6, cy: 6, r: 4, fill: "none", stroke: "currentColor", "stroke-width": 2 }),
  }[severity]();
  const spoken = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return s("svg", { class: `shape is-${severity}`, width: size, height: size, viewBox: "0 0 12 12", ...spoken }, figure);
};

export const chip = (severity, text = capital(severity)) =>
  h("span", { class: `chip ${severity}` }, shape(severity), text);

/** A drawing of lines in a 16 x 16 box. */
export const icon = (path) =>
  s(
    "svg",
    { width: 16, height: 16, viewBox: "0 0 16 16", fill: "none", stroke: "currentColor", "aria-hidden": "true" },
    s("path", { d: path, "stroke-width": 1.4, "stroke-linecap": "round", "stroke-linejoin": "round" }),
  );
