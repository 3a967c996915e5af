// The table of members: state and cause, what they lack, and a way to see the mesh as they do.

import { ago } from "./clock.js";
import { el, memberState } from "./dom.js";
import { count, webAddress } from "./format.js";
import { table } from "./table.js";

const DASHBOARDS_OWN = new Set(["dashboard", "dashboard.alive"]);

const number = (value, unit = "") => (value === null ? "–" : `${value}${unit}`);

/** What it published for people: without what the dashboards tell each other by the same way. */
function published(m) {
  const facts = Object.entries(m.metadata ?? {}).filter(([name]) => !DASHBOARDS_OWN.has(name));
  return facts.map((fact) => fact.join("=")).join(" ");
}

function seen(m) {
  const url = m.dashboard_url && webAddress(m.dashboard_url);
  if (m.this_node) return "this view";
  return url ? el("a", { href: url, rel: "noreferrer" }, "see as it") : "–";
}

const columns = [
  { name: "node", label: "node", head: true, value: (m) => [m.node, m.this_node],
    draw: ([name, self]) => [el("span", { id: `member-${name}`, tabindex: "-1" }, name), self ? el("small", {}, " this node") : ""] },
  { name: "state", label: "state", value: (m) => m.state, draw: (state) => memberState(state) },
  { name: "since", label: "since", value: (m) => m.since_at_ms, draw: (at) => (at === null ? "–" : ago(at)) },
  { name: "linked", label: "link", value: (m) => (m.this_node ? "–" : m.linked ? "up" : "down"),
    title: "Whether frames can be exchanged with it now" },
  { name: "rtt", label: "RTT", numeric: true, value: (m) => m.rtt_ms?.toFixed(1) ?? null,
    draw: (ms) => number(ms, " ms"), title: "Smoothed round trip of this node's probes" },
  { name: "behind", label: "behind", numeric: true, value: (m) => m.behind_writes,
    draw: (n) => (n === null ? "?" : count(n)), title: "Writes held here that it is not known to hold; ?: nothing is known" },
  { name: "backlog", label: "backlog", numeric: true, value: (m) => m.backlog_partitions,
    title: "Partitions with writes of this node that it has not acknowledged" },
  { name: "clock", label: "clock", numeric: true, value: (m) => m.clock_offset_ms, draw: (ms) => number(ms, " ms"),
    title: "Its wall clock minus this node's" },
  { name: "incarnation", label: "refuted", numeric: true, value: (m) => m.incarnation,
    title: "How often it had to refute a suspicion" },
  { name: "why", label: "why", value: (m) => m.why },
  { name: "addr", label: "address", value: (m) => m.addr },
  { name: "metadata", label: "published", value: published },
  { name: "view", label: "view", value: (m) => [m.this_node, m.dashboard_url], draw: (_, m) => seen(m) },
];

/** The card of the members. */
export function members(card) {
  const rows = table({ id: "members-table", label: "Members as this node sees them", key: (m) => `${m.node} ${m.origin}`,
    empty: "No members are known yet.", columns });
  const rest = el("p", { class: "quiet" });
  card.append(rows.node, rest);
  return ({ members: part }) => {
    if (!part) return;
    rows.update(part.members);
    rows.showColumn("metadata", part.members.some((m) => published(m)));
    rest.textContent = part.left_out ? `${part.left_out} more are left out.` : "";
  };
}
