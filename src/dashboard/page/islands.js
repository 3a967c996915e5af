// Islands: which members can be seen to agree on who is there, and how this node compares with each peer.

import { ago } from "./clock.js";
import { el, nameList, redraw } from "./dom.js";
import { count, plural } from "./format.js";
import { table } from "./table.js";

const LABELS = { here: "with this node", apart: "apart: they answer, and see others", silent: "silent",
  unknown: "answer, side not known yet" };

function island(one, at) {
  return el("li", { class: `island ${one.state}`, "data-island": at, "data-here": String(one.this_side) },
    el("p", {}, el("span", { class: "label" }, `${plural(one.nodes.length, "member")} ${LABELS[one.state] ?? one.state} `),
      one.silent_since_at_ms === null ? "" : el("span", { class: "quiet" }, "since ", ago(one.silent_since_at_ms))),
    el("p", {}, nameList(one.nodes)), el("p", { class: "quiet" }, one.evidence,
      one.alive_set ? ` (set ${one.alive_set})` : ""));
}

const yes = (value) => (value === null ? "?" : value ? "equal" : "differs");

const columns = [
  { name: "node", label: "peer", head: true, value: (p) => p.node },
  { name: "equal", label: "last round", value: (p) => yes(p.equal), title: "What the last comparison of everything found" },
  { name: "compared", label: "compared", value: (p) => p.compared_at_ms, draw: (at) => ago(at) },
  { name: "differing", label: "differing", numeric: true, value: (p) => p.differing_partitions,
    draw: (n) => (n === null ? "?" : count(n)), title: "Partitions of the key space that differed then" },
  { name: "equal_at", label: "equal", value: (p) => p.equal_at_ms, draw: (at) => ago(at) },
  { name: "unacknowledged", label: "unacked", numeric: true, value: (p) => p.unacknowledged_writes,
    draw: (n) => (n === null ? "?" : count(n)), title: "Own writes it has not acknowledged; ?: no link" },
];

/** The card of islands and comparisons. */
export function islands(card) {
  const list = el("ol", { id: "islands-list", class: "plain" });
  const rows = table({ id: "divergence-table", label: "Comparison with every peer", key: (p) => p.node,
    empty: "No peer to compare with.", columns });
  const rounds = el("p", { class: "quiet", id: "rounds" });
  card.append(list, el("h3", {}, "Rounds of anti-entropy"), rows.node, rounds);
  return ({ partitions, divergence }) => {
    if (partitions) redraw(list, partitions.islands, () => partitions.islands.map(island));
    if (!divergence) return;
    rows.update(divergence.peers);
    const d = divergence;
    rounds.textContent = `${count(d.partitions)} partitions; rounds: ${count(d.rounds_equal_total)} equal, `
      + `${count(d.rounds_pulled_total)} fetched something, ${count(d.rounds_failed_total)} given up; `
      + `unequal audits: ${count(d.audit_diffs_total)}, violations: ${count(d.violations_total)} (both must be 0)`;
  };
}
