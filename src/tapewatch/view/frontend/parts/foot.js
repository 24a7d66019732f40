// The component "foot": how capture and store are doing, and who made the chart's library.

import { h, setAttribute, setText } from "../lib/dom.js";
import { mount } from "../lib/mount.js";
import { store } from "../lib/store.js";

class Foot {
  topics = ["now"];

  constructor(root) {
    this.root = root;
    this.figures = h("div", { class: "figures" });
    const link = h("a", { href: "https://www.tradingview.com/", target: "_blank", rel: "noreferrer" }, "TradingView");
    root.append(h("div", { class: "bar" }, this.figures, h("span", { class: "made" }, "charts by ", link)));
    this.shown = [];
  }

  draw() {
    this.root.dataset.s = store.state;
    const figures = store.now?.figures ?? [];
    while (this.shown.length < figures.length) {
      const [label, value] = [h("span"), h("b")];
      const element = h("span", {}, label, " ", value);
      this.figures.append(element);
      this.shown.push({ label, value, element });
    }
    this.shown.forEach(({ label, value, element }, i) => {
      element.hidden = i >= figures.length;
      if (element.hidden) return;
      setText(label, figures[i].label);
      setText(value, figures[i].value);
      setAttribute(element, "class", figures[i].tone);
    });
  }
}

export default mount(Foot, ".tw-foot");
