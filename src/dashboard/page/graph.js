// The live graph: members by island, this node's links, and arcs of suspicion from who accuses to whom.

import { age } from "./clock.js";
import { el, redraw, svg } from "./dom.js";
import { names } from "./format.js";
import { accusations, HEIGHT, layout, WIDTH } from "./layout.js";

/** More names than this are not read. */
const LABELLED = 24;
/** Arcs beyond this many would be a blot; the list below the graph has them all. */
const ARCS = 60;

const cut = (text) => (text.length > 14 ? `${text.slice(0, 13)}…` : text);

function marker() {
  const tip = svg("path", { d: "M0 0 8 4 0 8z" });
  return svg("defs", {}, svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7,
    markerHeight: 7, orient: "auto-start-reverse" }, tip));
}

function hull({ x, y, r, state, nodes }, many) {
  const ring = svg("circle", { class: `hull ${state}`, cx: x, cy: y, r });
  if (!many) return [ring];
  const label = { here: "this side", apart: "apart", silent: "silent", unknown: "not known yet" }[state] ?? state;
  return [ring, svg("text", { class: "hull-label", x, y: Math.max(14, y - r - 6) }, `${label} · ${nodes}`)];
}

/** From the rim of one node to the rim of the other, bent so that two directions do not cover each other. */
function arc(from, to, r) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = Math.min(40, length / 5);
  const [mx, my] = [(from.x + to.x) / 2 - (dy / length) * bend, (from.y + to.y) / 2 + (dx / length) * bend];
  const rim = (p, gap) => {
    const away = Math.hypot(mx - p.x, my - p.y) || 1;
    return `${(p.x + ((mx - p.x) / away) * gap).toFixed(1)} ${(p.y + ((my - p.y) / away) * gap).toFixed(1)}`;
  };
  return `M${rim(from, r + 2)} Q${mx.toFixed(1)} ${my.toFixed(1)} ${rim(to, r + 5)}`;
}

function links(members, places) {
  const self = members.find((m) => m.this_node);
  const from = self && places.get(self.node);
  if (!from) return [];
  return members.filter((m) => !m.this_node && places.has(m.node) && (m.linked || m.state === "alive")).map((m) => {
    const to = places.get(m.node);
    return svg("line", { class: m.linked ? "link" : "link missing", x1: from.x, y1: from.y, x2: to.x, y2: to.y,
      "data-link": m.node, "data-linked": String(m.linked) });
  });
}

function arcs(members, places, r) {
  const all = members.flatMap((m) => m.accusers.map((by) => ({ by, m })))
    .filter(({ by, m }) => places.has(by) && places.has(m.node) && by !== m.node);
  return all.slice(0, ARCS).map(({ by, m }) => svg("path", { class: `accuses ${m.state}`, "data-accuser": by,
    "data-accused": m.node, d: arc(places.get(by), places.get(m.node), r), "marker-end": "url(#arrow)" }));
}

const SHAPE = {
  alive: (r) => svg("circle", { r }),
  suspect: (r) => svg("path", { d: `M0 ${-r * 1.25} ${r * 1.25} 0 0 ${r * 1.25} ${-r * 1.25} 0z` }),
  dead: (r) => svg("rect", { x: -r, y: -r, width: 2 * r, height: 2 * r }),
};

function node(member, { x, y }, r, labelled) {
  const mark = { suspect: "?", dead: "×" }[member.state];
  const state = member.state === "alive" ? "" : member.state;
  const below = [member.this_node ? "this node" : "", state].filter(Boolean).join(", ");
  return svg("a", { href: `#member-${member.node}`, class: `node state-${member.state}`, "data-node": member.node,
    "data-state": member.state, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
    "aria-label": `${member.node}: ${member.state}${member.this_node ? ", this node" : ""}` },
    svg("title", {}, `${member.node}: ${member.state}, ${member.why}`),
    member.this_node ? svg("circle", { class: "self", r: r + 5 }) : null,
    (SHAPE[member.state] ?? SHAPE.alive)(r),
    mark ? svg("text", { class: "mark", y: r / 2.6, "font-size": 1.15 * r }, mark) : null,
    labelled ? svg("text", { class: "name", y: r + 18 }, cut(member.node)) : null,
    labelled && below ? svg("text", { class: "note", y: r + 31 }, below) : null);
}

/** Whom there is room to name: all, or those that do not live, or those whose fate is open. */
function labels(members) {
  const ways = [() => true, (m) => m.this_node || m.state !== "alive", (m) => m.this_node || m.state === "suspect"];
  return ways.find((way) => members.filter(way).length <= LABELLED) ?? ((m) => m.this_node);
}

function drawing(members, islands) {
  const { places, hulls } = layout(islands);
  const shown = members.filter((m) => places.has(m.node));
  const r = shown.length > 60 ? 5 : shown.length > LABELLED ? 8 : 13;
  const label = labels(shown);
  return svg("svg", { id: "mesh-graph", class: shown.length > LABELLED && "many", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group",
    "aria-label": `${shown.length} members in ${hulls.length} island(s)` },
    marker(), hulls.flatMap((h) => hull(h, hulls.length > 1)), links(members, places), arcs(members, places, r),
    shown.map((m) => node(m, places.get(m.node), r, label(m))));
}

function accused({ accusers, accused: list, state, why, dead_at_ms }) {
  const until = state === "suspect" && dead_at_ms !== null ? [", dead in ", age(dead_at_ms)] : [];
  const by = accusers.length ? [el("b", {}, names(accusers)), " → "] : [];
  return el("li", { "data-accused": list.join(" ") }, ...by, el("b", {}, names(list)), ` (${state}`, ...until, `): ${why}`);
}

/** Without islands yet, everyone who has not left stands in one circle. */
const oneIsland = (members) =>
  [{ nodes: members.filter((m) => m.state !== "left").map((m) => m.node), this_side: true, state: "here" }];

/** The card of the graph. */
export function graph(card) {
  const picture = el("div", { class: "picture" });
  const list = el("ul", { id: "accusations", class: "plain" });
  const legend = el("p", { class: "quiet legend" }, "● alive  ◆ suspect  ■ dead  ◎ this node  ─ its link  ⇢ accuses");
  card.append(picture, legend, list);
  return ({ members, partitions }) => {
    if (!members) return;
    const all = members.members;
    const islands = partitions?.islands ?? oneIsland(all);
    const look = all.map((m) => [m.node, m.state, m.why, m.linked, m.accusers, m.this_node]);
    redraw(picture, [look, islands.map((i) => [i.nodes, i.state])], () => {
      const focused = document.activeElement?.closest?.("#mesh-graph [data-node]")?.dataset.node;
      const made = drawing(all, islands);
      if (focused) queueMicrotask(() => made.querySelector(`[data-node="${CSS.escape(focused)}"]`)?.focus());
      return made;
    });
    const cases = accusations(all);
    redraw(list, cases, () => (cases.length ? cases.map(accused) : el("li", { class: "quiet" }, "Nobody accuses anybody.")));
  };
}
