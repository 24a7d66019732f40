// Streamlit's entry of the component "alerts". All parts are loaded from one address, so that what they share exists once.
export { default } from "../tapewatch.top/parts/alerts.js";
