// Streamlit's entry of the component "top". All parts are loaded from one address, so that what they share exists once.
export { default } from "../tapewatch.top/parts/top.js";
