// A short memory of a number that comes once a second, and its line. The first half is pure.

import { svg } from "./dom.js";

/** Readings kept: two minutes. */
const KEPT = 120;

export class History {
  #values = [];

  add(value) {
    this.#values.push(value);
    if (this.#values.length > KEPT) this.#values.shift();
  }

  get peak() {
    return this.#values.reduce((most, value) => Math.max(most, value), 0);
  }

  /** The points of its line in a box, newest at the right edge, 0 at the bottom. */
  points(width, height) {
    const top = this.peak || 1;
    const step = width / (KEPT - 1);
    const first = width - step * (this.#values.length - 1);
    return this.#values.map((v, n) => `${(first + n * step).toFixed(1)},${(height - (v / top) * height).toFixed(1)}`);
  }
}

/** A line to be kept up to date with `set`. */
export function line() {
  const [width, height] = [120, 24];
  const path = svg("polyline", { fill: "none" });
  const node = svg("svg", { class: "spark", viewBox: `0 -1 ${width} ${height + 2}`, preserveAspectRatio: "none",
    "aria-hidden": "true" }, path);
  return { node, set: (history) => path.setAttribute("points", history.points(width, height).join(" ")) };
}
