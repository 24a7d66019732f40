// What a person says of an anomaly: four buttons and a note; what became of it stands beside them.

import { request } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";

const LABELS = [
  [null, "Acknowledge", "Somebody has taken note of it"],
  ["true", "True", "It was a real event"],
  ["false", "False", "It was a false alarm"],
  ["expected", "Expected", "It was known to come"],
];

/** Shows the answer to a request where the person has clicked. */
export const answerLine = () => {
  const element = h("span", { class: "answer", role: "status" });
  const say = ({ done, said }) => {
    setAttribute(element, "data-done", done);
    setText(element, said && !/[.!?]$/.test(said) ? `${said}.` : said);
  };
  return { element, say };
};

/** Asks, with the button out of use meanwhile; what comes back is said in `line`. */
export const asks = async (button, line, kind, wanted) => {
  button.disabled = true;
  line.say({ done: true, said: "" });
  const answer = await request(kind, wanted);
  line.say(answer);
  button.disabled = false;
  return answer.done;
};

/** `ids` of the anomalies that are one row; `write(mark)` shows what was said so far. */
export const marking = (ids) => {
  const line = answerLine();
  const note = h("input", { type: "text", placeholder: "Note", "aria-label": "Note", maxlength: 500 });
  let written = "";
  const send = async (button, label) => {
    const wanted = note.value === written ? { label } : { label, note: note.value };
    for (const anomaly of ids()) if (!(await asks(button, line, "mark", { anomaly, ...wanted }))) return;
    written = note.value;
  };
  const buttons = LABELS.map(([label, word, title]) => {
    const button = h("button", { type: "button", title, onclick: () => send(button, label) }, word);
    return { label, button };
  });
  note.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && note.value !== written) send(note, null);
  });
  const segments = h("span", { class: "segments", role: "group", "aria-label": "Verdict" }, buttons.map(({ button }) => button));
  const element = h("div", { class: "marking" }, segments, note, line.element);
  element.addEventListener("click", (event) => event.stopPropagation());
  const write = (mark) => {
    for (const { label, button } of buttons) setAttribute(button, "aria-pressed", Boolean(mark) && mark.label === label);
    const text = mark?.note ?? "";
    if (note.value === written) note.value = text; // what somebody is typing stays
    written = text;
  };
  return { element, write };
};
