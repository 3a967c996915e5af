// The lag matrix: who is not known to hold how many writes of whom, and how old that knowledge is.

import { age } from "./clock.js";
import { el, redraw } from "./dom.js";
import { plural, short } from "./format.js";
import { chosen, level, WHOLE } from "./lag.js";

const BY = {
  self: "this node's own",
  round: "by a round",
  acknowledged: "by acknowledgements",
  never: "nothing heard yet",
};

function cell(row, column, n) {
  const behind = row.behind_writes[n] ?? null;
  const known = row.known_at_ms[n] ?? null;
  const own = row.node === column.node;
  const said = behind === null ? `what ${row.node} holds of ${column.node} is not known`
    : `${row.node} is not known to hold ${plural(behind, "write")} of ${column.node}`;
  return el("td", { class: `lag level-${level(behind)}${own ? " own" : ""}`, title: said,
    "data-peer": row.node, "data-origin": column.node, "data-behind": behind ?? "?" },
    el("span", {}, behind === null ? "?" : short(behind)), known === null ? "" : age(known));
}

function drawn(matrix, pick) {
  const heads = pick.columns.map((n) => el("th", { scope: "col", title: matrix.columns[n].node }, matrix.columns[n].node));
  const rows = pick.rows.map((r) => {
    const row = matrix.rows[r];
    return el("tr", { "data-by": row.by }, el("th", { scope: "row", title: BY[row.by] ?? row.by }, row.node),
      ...pick.columns.map((n) => cell(row, matrix.columns[n], n)), el("td", { class: "quiet by" }, BY[row.by] ?? row.by));
  });
  return el("table", { id: "matrix" },
    el("caption", { class: "unseen" }, "Writes by holder (rows) and origin (columns)"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("small", {}, "held by ↓ writes of →")), ...heads,
      el("th", { scope: "col" }, el("small", {}, "known")))), el("tbody", {}, ...rows));
}

function remark(matrix, pick) {
  const out = pick.left_out + matrix.left_out;
  const more = out ? ` ${out} more are left out.` : "";
  if (!pick.reduced) return more;
  const size = matrix.columns.length;
  if (pick.rows.length === 0) return `All ${size} members are known to hold everything that is here.${more}`;
  return `Of ${size} members only those with a lag are shown (above ${WHOLE} members).${more}`;
}

/** The card of the matrix. */
export function matrix(card) {
  const picture = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lag matrix" });
  const said = el("p", { class: "quiet" });
  card.append(picture, said, el("p", { class: "quiet" },
    "Counts are upper bounds. A small time under a count is the age of the knowledge, shown from 10 s on: an old one says "
    + "how long nothing was heard, not that the writes are missing there."));
  return ({ matrix: part }) => {
    if (!part) return;
    const pick = chosen(part);
    said.textContent = remark(part, pick);
    redraw(picture, part, () => (pick.rows.length && pick.columns.length ? drawn(part, pick) : null));
  };
}
