// Rates of this node, with two minutes of history, and of every peer.

import { el, say } from "./dom.js";
import { bytes, rate, span } from "./format.js";
import { History, line } from "./history.js";
import { table } from "./table.js";

const perSecond = (n) => `${bytes(n)}/s`;
const percent = (n) => (n === null ? "–" : `${(100 * n).toFixed(1)} %`);

const SHOWN = [
  ["udp_sent_bytes_per_s", "UDP sent", perSecond, "payload of everything sent"],
  ["udp_received_bytes_per_s", "UDP received", perSecond, "payload of everything received"],
  ["frames_sent_bytes_per_s", "replication", perSecond, "frames sent"],
  ["gossip_sent_bytes_per_s", "board gossip", perSecond, "who exists and where"],
  ["probe_sent_bytes_per_s", "failure detector", perSecond, "probes, answers and accusations sent"],
  ["pushes_per_s", "pushes", rate, "frames with new writes"],
  ["pages_per_s", "pages", rate, "of anti-entropy"],
  ["probes_per_s", "probes", rate, "begun"],
  ["redundant_ratio", "redundant", percent, "of the entries received since the start changed nothing"],
];

const columns = [
  { name: "node", label: "peer", head: true, value: (p) => p.node },
  { name: "sent", label: "sent", numeric: true, value: (p) => perSecond(p.sent_bytes_per_s) },
  { name: "received", label: "received", numeric: true, value: (p) => perSecond(p.received_bytes_per_s) },
  { name: "frames", label: "frames out/in", numeric: true,
    value: (p) => `${rate(p.sent_frames_per_s)} / ${rate(p.received_frames_per_s)}` },
  { name: "total", label: "total out/in", numeric: true,
    value: (p) => `${bytes(p.sent_bytes_total)} / ${bytes(p.received_bytes_total)}` },
];

/** The card of the rates. */
export function rates(card) {
  const lines = SHOWN.map(([name, label, form, note]) => {
    const [value, spark] = [el("dd"), line()];
    const box = el("div", { "data-rate": name, title: note }, el("dt", {}, label), value, el("dd", { class: "line" }, spark.node));
    return { name, form, value, spark, box, history: new History() };
  });
  const rows = table({ id: "traffic-table", label: "Traffic with every peer", key: (p) => p.node,
    empty: "No peer to talk to.", columns });
  const window = el("p", { class: "quiet" });
  card.append(el("dl", { class: "rates" }, ...lines.map((l) => l.box)), window, rows.node);
  return ({ traffic }) => {
    if (!traffic) return;
    for (const l of lines) {
      const value = traffic[l.name] ?? null;
      l.history.add(value ?? 0);
      say(l.value, value === null ? "–" : l.form(value));
      l.spark.set(l.history);
    }
    say(window, traffic.window_ms ? `Averages over ${span(traffic.window_ms)}; the lines go back two minutes.`
      : "Measuring has just begun.");
    rows.update(traffic.peers);
  };
}
