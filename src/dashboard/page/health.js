// Health checks: what was found, how bad it is, and what to do; then everything that was checked.

import { el, icon, redraw, severity } from "./dom.js";
import { plural } from "./format.js";

function finding(f) {
  return el("li", { class: `finding ${f.severity}`, "data-finding": f.id, "data-severity": f.severity },
    el("h3", {}, icon(f.severity), `${f.title} `, el("small", {}, f.severity)),
    el("p", {}, f.evidence), el("p", { class: "advice" }, el("b", {}, "What to do: "), f.advice));
}

/** The card of the health checks. */
export function health(card) {
  const list = el("ul", { id: "findings", class: "plain" });
  const summary = el("summary");
  const checks = el("ul", { id: "checks" });
  card.append(list, el("details", {}, summary, checks));
  return ({ health: part }) => {
    if (!part) return;
    card.dataset.worst = part.worst;
    redraw(list, part.findings, () => (part.findings.length ? part.findings.map(finding)
      : el("li", {}, severity("ok"), " Nothing to know, nothing to do.")));
    const found = new Set(part.findings.map((f) => f.id));
    summary.textContent = `${plural(part.checks.length, "check")}, ${part.checks.filter((c) => !found.has(c)).length} without a finding`;
    redraw(checks, [part.checks, [...found]], () => part.checks.map((name) =>
      el("li", { "data-check": name }, icon(found.has(name) ? "warning" : "ok"), name.replaceAll("_", " "), found.has(name) ? ": see above" : "")));
  };
}
