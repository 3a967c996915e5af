// How a version and a value are shown: who wrote it, when by the hybrid clock, and as much of it as may be seen.

import { el } from "./dom.js";
import { clockTime, iso, plural, writer } from "./format.js";
import { now } from "./clock.js";

/** Who, when, and which of its writes. */
export function stamp(one) {
  const number = one.counter ? `write ${one.counter}` : "a write whose number is not kept";
  const tie = one.logical ? `+${one.logical}` : "";
  return el("span", { class: "stamp", "data-writer": one.node ?? "", "data-origin": one.origin,
    title: `${number} of life ${one.origin}, stamped ${iso(one.at_ms)}${tie}` },
    el("b", {}, writer(one)), " ", el("span", { class: "moment" }, `${clockTime(one.at_ms, now(), true)}${tie}`));
}

/** A value as text; null: it is not shown. Pure. */
export function valueText(value) {
  if (!value.shown) return null;
  const text = value.hex === null ? JSON.stringify(value.json ?? null) : `0x${value.hex}`;
  return value.cut ? `${text} … cut` : text;
}

/** A value, or what is there instead of one. */
export function value(one, removed) {
  if (removed || one === null) return el("em", { class: "quiet", "data-value": "removed" }, removed ? "removed" : "no value");
  const text = valueText(one);
  if (text === null) return el("span", { class: "quiet", "data-value": "hidden" }, `hidden, ${plural(one.bytes, "byte")}`);
  return el("code", { "data-value": "shown", title: plural(one.bytes, "byte") }, text);
}

/** One of two writes that met: what it wrote, and who when. */
export const side = (one) => [value(one.value, one.removed), el("br"), stamp(one.stamp)];

/** A button that asks for values; off and disabled unless they are permitted here. `changed` is called with the wish. */
export function valuesButton(id, changed) {
  const button = el("button", { type: "button", id, "aria-pressed": "false", disabled: true }, "Show values");
  const set = (on) => button.setAttribute("aria-pressed", String(on));
  button.addEventListener("click", () => {
    set(button.getAttribute("aria-pressed") !== "true");
    changed();
  });
  return {
    node: button,
    wanted: () => button.getAttribute("aria-pressed") === "true",
    permit: (permitted) => {
      button.disabled = !permitted;
      button.title = permitted ? "Values are users' data" : "Values are not permitted here (dashboard_values)";
      if (!permitted) set(false);
    },
  };
}
