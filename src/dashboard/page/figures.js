// The row of figures under the head: what this node holds and what it counts.

import { age } from "./clock.js";
import { el, redraw } from "./dom.js";
import { bytes, count } from "./format.js";

/** What is known of other overwrites: those of unknown label are neither conflicts nor none. */
function unlabelled(mesh) {
  const open = mesh.overwrites_unlabelled_total;
  return open > 0 ? `and ${count(open)} not known` : "since the start";
}

/** What is told, in order: name, label, value, explanation, whether it deserves a second look. Pure. */
export function figures(mesh) {
  const all = mesh.members.alive + mesh.members.suspect + mesh.members.dead;
  const limit = mesh.max_memory_bytes;
  return [
    ["members", "members alive", `${mesh.members.alive} of ${all}`, "not counting left", mesh.members.alive < all],
    ["sessions", "sessions", count(mesh.sessions), "live, held here", false],
    ["memory", "record memory", bytes(mesh.record_bytes), limit === null ? "no limit" : `of ${bytes(limit)}`,
      limit !== null && mesh.record_bytes > 0.9 * limit],
    ["backlog", "backlog", count(mesh.backlog_partitions), "partitions not acknowledged", false],
    ["unreplicated", "unreplicated", count(mesh.unreplicated_total), "without a second copy", mesh.unreplicated_total > 0],
    ["conflicts", "conflicts", count(mesh.conflicts_total), unlabelled(mesh), false],
    ["tombstones", "tombstones", count(mesh.tombstones), "ended, remembered", false],
    ["serving", "serving", mesh.serving, mesh.reason, mesh.serving !== "ready"],
  ];
}

/** Shows them in the page's list. */
export function showFigures(mesh) {
  const list = document.getElementById("figures");
  const told = figures(mesh);
  redraw(list, [told, mesh.started_at_ms], () => [
    ...told.map(([name, label, value, note, look]) => el("div", { "data-figure": name, class: look && "look" },
      el("dt", {}, label), el("dd", {}, value), el("dd", { class: "note", title: note }, note))),
    el("div", { "data-figure": "uptime" }, el("dt", {}, "up for"), el("dd", {}, age(mesh.started_at_ms)),
      el("dd", { class: "note" }, "this process")),
  ]);
}
