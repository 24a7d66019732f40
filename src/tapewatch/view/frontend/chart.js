// Streamlit's entry of the component "chart". All parts are loaded from one address, so that what they share exists once.
export { default } from "../tapewatch.top/parts/chart.js";
