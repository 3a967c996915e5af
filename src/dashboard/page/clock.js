// The node's clock, as this page can know it, and ages that go on counting when nothing arrives any more.

import { el, say } from "./dom.js";
import { clockTime, iso, relative, span } from "./format.js";

let node_ms = Date.now();
let heard_at = null;

/** Ages from here on are called old (ms): ten beats. */
const OLD_MS = 10_000;

/** A message has arrived that was made at `at_ms` by the node's clock. */
export function heard(at_ms) {
  node_ms = at_ms;
  heard_at = performance.now();
}

/** What the node's clock should show now (ms). */
export const now = () => (heard_at === null ? node_ms : node_ms + (performance.now() - heard_at));

/** How long nothing has been heard (ms); null before the first message. */
export const silence = () => (heard_at === null ? null : performance.now() - heard_at);

function show(node) {
  const at = Number(node.dataset.at);
  say(node, node.dataset.form === "span" ? span(now() - at) : relative(at, now()));
  node.toggleAttribute("data-old", now() - at >= OLD_MS);
}

function time(at_ms, form) {
  if (at_ms === null || at_ms === undefined) return el("span", { class: "quiet" }, "never");
  const node = el("time", { datetime: iso(at_ms), title: iso(at_ms), "data-at": at_ms, "data-form": form });
  show(node);
  return node;
}

/** "42 s ago", kept up to date. */
export const ago = (at_ms) => time(at_ms, "relative");

/** "42 s", kept up to date. */
export const age = (at_ms) => time(at_ms, "span");

/** The moment on the reader's wall clock. */
export const moment = (at_ms, millis = false) =>
  el("time", { datetime: iso(at_ms), title: iso(at_ms), class: "moment" }, clockTime(at_ms, now(), millis));

/** Brings all ages on the page up to date. */
export function tick() {
  document.querySelectorAll("time[data-at]").forEach(show);
}
