// Colours for the canvas, read from the page's theme; the switch between dark and light.

const MODES = { '"Dark"': "dark", '"Light"': "light" };
const storageKey = () => `stActiveTheme-${location.pathname}-v2`;

/** Add transparency to #RRGGBB. */
export const fade = (hex, alpha) => {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
};

/** Which theme Streamlit shows: the background that it gives to components is that of one of the palettes. */
export const modeOf = (element, palettes) => {
  const ground = getComputedStyle(element).getPropertyValue("--st-background-color").trim().toUpperCase();
  return palettes.light.ground.toUpperCase() === ground ? "light" : "dark";
};

export const storedMode = () => MODES[localStorage.getItem(storageKey())] ?? "dark";

/** Streamlit reads the stored theme when it loads; the choices survive in the URL. */
export const switchMode = () => {
  localStorage.setItem(storageKey(), storedMode() === "dark" ? '"Light"' : '"Dark"');
  location.reload();
};
