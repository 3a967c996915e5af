// Tombstones: how many ended sessions are remembered, until when, and who holds collection back.

import { ago } from "./clock.js";
import { el, memberState, redraw } from "./dom.js";
import { count, plural, span } from "./format.js";
import { table } from "./table.js";

const WAITS = {
  nothing: "Collection waits for nothing.",
  time: "Collection waits for the sessions' hard deadlines only.",
  members: "Expired payloads wait for members that are not heard of.",
  clock: "Nothing is collected: this node's wall clock jumped and is not trusted yet.",
};

const columns = [
  { name: "node", label: "held back by", head: true, value: (h) => h.node ?? `life ${h.origin.slice(0, 8)}` },
  { name: "state", label: "state", value: (h) => h.state, draw: (state) => memberState(state) },
  { name: "heard", label: "heard of until", value: (h) => h.incorporated_at_ms, draw: (at) => ago(at) },
  { name: "why", label: "why", value: (h) => h.why },
];

function due(part) {
  return part.due.map(({ within_ms, tombstones }) => el("li", {},
    el("span", {}, `within ${span(within_ms)}`), el("meter", { min: 0, max: Math.max(part.tombstones, 1), value: tombstones,
      "aria-label": `tombstones due within ${span(within_ms)}` }), el("span", { class: "number" }, count(tombstones))));
}

/** The card of the tombstones. */
export function tombstones(card) {
  const waits = el("p", { id: "waits-for" });
  const list = el("ul", { class: "plain due" });
  const rows = table({ id: "holding-back-table", label: "Members that hold collection back", key: (h) => h.origin,
    empty: "No member holds collection back.", columns });
  const advice = el("p", { class: "advice" });
  const looked = el("p", { class: "quiet" });
  card.append(waits, rows.node, advice, el("h3", {}, "Tombstones due"), list, looked);
  return ({ tombstones: part }) => {
    if (!part) return;
    waits.dataset.waitsFor = part.waits_for;
    waits.textContent = `${plural(part.tombstones, "tombstone")}, ${plural(part.expired_retained, "expired session")} with `
      + `payload. ${WAITS[part.waits_for] ?? part.waits_for}`;
    rows.update(part.holding_back);
    redraw(advice, part.advice, () => [el("b", {}, "What to do: "), part.advice]);
    redraw(list, [part.due, part.tombstones], () => due(part));
    redraw(looked, part.looked_at_ms, () => [...(part.looked_at_ms ? ["Counted ", ago(part.looked_at_ms)] : ["Not counted yet"]),
      `; a tombstone is kept ${span(part.margin_ms)} past its session's hard deadline.`]);
  };
}
