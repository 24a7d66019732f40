// What a person says of an anomaly: four buttons and a note; what became of it stands beside them.

import { request } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";

const LABELS = [
  [null, "Acknowledge", "Somebody has taken note of it"],
  ["true", "Real", "It was a real event"],
  ["false", "False alarm", "Nothing had happened"],
  ["expected", "Expected", "It was known to come"],
];

/** Shows the answer to a request where the person has clicked. */
export const answerLine = () => {
  const element = h("span", { class: "answer", role: "status" });
  const say = ({ done, said }) => {
    setAttribute(element, "data-done", done);
    setText(element, said && !/[.!?…]$/.test(said) ? `${said}.` : said);
  };
  return { element, say };
};

// Out of use meanwhile, yet not disabled: what is disabled loses the keyboard's focus.
const busy = async (button, work) => {
  if (button.hasAttribute("aria-disabled")) return false;
  setAttribute(button, "aria-disabled", true);
  try {
    return await work();
  } finally {
    setAttribute(button, "aria-disabled", null);
  }
};

/** Asks, with the button out of use meanwhile; what comes back is said in `line`. */
export const asks = (button, line, kind, wanted) =>
  busy(button, async () => {
    line.say({ done: true, said: "" });
    const answer = await request(kind, wanted);
    line.say(answer);
    return answer.done;
  });

/** Asks for many things, one after the other; returns their answers. Who is refused stops nobody else, an outage does. */
export const asksAll = (button, line, kind, all) =>
  busy(button, async () => {
    const answers = [];
    for (const wanted of all) {
      line.say({ done: true, said: `${answers.length + 1} of ${all.length} …` });
      answers.push(await request(kind, wanted));
      if (answers.at(-1).lost) break;
    }
    return answers;
  });

/** `ids` of the anomalies that are one row; `write(mark)` shows what was said so far. */
export const marking = (ids) => {
  const line = answerLine();
  const note = h("input", { type: "text", placeholder: "Note", "aria-label": "Note", maxlength: 500 });
  let written = "";
  const send = async (button, label) => {
    const typed = note.value; // somebody may go on typing meanwhile
    const wanted = typed === written ? { label } : { label, note: typed };
    for (const anomaly of ids()) if (!(await asks(button, line, "mark", { anomaly, ...wanted }))) return;
    written = typed;
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
