// Streamlit's entry of the component "foot". All parts are loaded from one address, so that what they share exists once.
export { default } from "../tapewatch.top/parts/foot.js";
