// Streamlit's entry of the component "log". All parts are loaded from one address, so that what they share exists once.
export { default } from "../tapewatch.top/parts/log.js";
