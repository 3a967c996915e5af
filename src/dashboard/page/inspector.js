// One session, field by field: who wrote it, what it beat, and on request what every peer has and why it has not.

import { get } from "./api.js";
import { ago, moment, now } from "./clock.js";
import { sideBySide } from "./compare.js";
import { el } from "./dom.js";
import { clockTime, names, plural, span } from "./format.js";
import { stamp, value, valuesButton } from "./stamps.js";
import { table } from "./table.js";

function beaten(field) {
  if (field.beat.length === 0) return el("span", { class: "quiet" }, field.beat_note);
  return el("ul", { class: "plain" }, ...field.beat.map((b) => el("li", {}, value(b.value, b.removed), " by ", stamp(b.stamp), ", met ", moment(b.at_ms))));
}

const fieldColumns = [
  { name: "field", label: "field", head: true, value: (f) => f.name },
  { name: "value", label: "value", value: (f) => [f.value, f.removed], draw: ([v, removed]) => value(v, removed) },
  { name: "writer", label: "written by", value: (f) => f.stamp, draw: (s) => stamp(s) },
  { name: "beat", label: "what it beat", value: (f) => [f.beat, f.beat_note], draw: (_, f) => beaten(f) },
];

const ANSWERS = { same: "= same", differs: "≠ differs", absent: "∅ absent", silent: "… silent", unreachable: "× unreachable" };

const peerColumns = [
  { name: "node", label: "peer", head: true, value: (p) => p.node },
  { name: "answer", label: "answer", value: (p) => p.answer, draw: (a) => el("span", { class: `answer ${a}` }, ANSWERS[a] ?? a) },
  { name: "differing", label: "differs in", value: (p) => names(p.differing) || "–" },
  { name: "why", label: "why not here", value: (p) => p.why },
];

function times(session) {
  const row = (label, ...what) => [el("dt", {}, label), el("dd", {}, ...what)];
  const ttl = session.ttl;
  return el("dl", { class: "times" },
    ...row("state", el("b", { id: "session-state" }, session.state)),
    ...(session.created ? row("created", ago(session.created.at_ms), " by ", stamp(session.created.stamp)) : []),
    ...(session.touched ? row("touched", ago(session.touched.at_ms), " by ", stamp(session.touched.stamp)) : []),
    ...(ttl ? row("time to live", ttl.sliding ? `${span(ttl.ttl_ms)} from the last touch` : moment(ttl.ttl_ms), ", set by ", stamp(ttl.stamp)) : []),
    ...(session.expires_at_ms === null ? [] : row("expires", ago(session.expires_at_ms))),
    ...row("ends at the latest", ago(session.hard_at_ms)),
    ...(session.ended ? row("ended", "by ", stamp(session.ended)) : []));
}

const MARKS = { here: "", same: "= ", differs: "≠ ", absent: "∅ nothing of it" };

function copyCell({ field, mark }) {
  return el("td", { class: `copy ${mark}`, "data-mark": mark }, MARKS[mark],
    field ? [value(field.value, field.removed), el("br"), stamp(field.stamp)] : null);
}

function comparison(detail) {
  const { columns, rows, left_out } = sideBySide(detail);
  if (columns.length < 2) return el("p", { class: "quiet" }, "No peer has a copy to put beside this one.");
  const heads = columns.map((c) => el("th", { scope: "col" }, c.node, c.here ? el("small", {}, " here") : ""));
  const body = rows.map((r) => el("tr", { "data-field": r.name }, el("th", { scope: "row" }, r.name), ...r.cells.map(copyCell)));
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Copies side by side" },
    el("table", { id: "session-copies" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "field"), ...heads)), el("tbody", {}, ...body)));
  return [scroll, left_out.length ? el("p", { class: "quiet" }, `Not shown: ${names(left_out)}.`) : ""];
}

function shown(detail) {
  const fields = table({ id: "session-fields", label: "Fields", key: (f) => f.name, empty: "No fields.", columns: fieldColumns });
  fields.update(detail.session.fields);
  const parts = [times(detail.session), fields.node];
  if (detail.matches > 1) parts.unshift(el("p", {}, `${detail.matches} sessions here share this hash; this is the first.`));
  if (detail.peers === null) return parts;
  const peers = table({ id: "session-peers", label: "The same session on every peer", key: (p) => p.node,
    empty: "There is no other member.", columns: peerColumns });
  peers.update(detail.peers);
  return [...parts, el("h4", {}, "On every peer, asked just now"), peers.node, ...[comparison(detail)].flat()];
}

/** The part of the sessions' card that shows one session. */
export function inspector() {
  let hash = null;
  let turn = 0;
  const head = el("h3", { tabindex: "-1" });
  const values = valuesButton("session-values", () => load());
  const peers = el("button", { type: "button", id: "session-ask", "aria-pressed": "false" }, "Ask every peer");
  const again = el("button", { type: "button", id: "session-again" }, "Read again");
  const close = el("a", { href: "#sessions", class: "button" }, "Close");
  const said = el("p", { class: "quiet", role: "status", id: "session-said" });
  const body = el("div");
  const node = el("section", { id: "session", hidden: true, "aria-label": "One session" },
    el("div", { class: "tools" }, head, peers, values.node, again, close), said, body);

  const load = async () => {
    turn += 1;
    const mine = turn;
    const asking = peers.getAttribute("aria-pressed") === "true";
    said.textContent = asking ? "Asking every peer …" : "Reading …";
    try {
      const detail = await get(`sessions/${hash}`, { values: values.wanted() ? 1 : null, peers: asking ? 1 : null });
      if (mine !== turn) return;
      node.dataset.hash = detail.hash;
      said.textContent = `As ${detail.view.node} holds it, read at ${clockTime(now(), now())}; `
        + `${plural(detail.session.fields.length, "field")}, values ${detail.values}.`;
      body.replaceChildren(...shown(detail));
    } catch (error) {
      if (mine !== turn) return;
      said.textContent = error.message;
      body.replaceChildren();
    }
  };
  peers.addEventListener("click", () => {
    peers.setAttribute("aria-pressed", String(peers.getAttribute("aria-pressed") !== "true"));
    load();
  });
  again.addEventListener("click", load);
  return {
    node,
    permit: values.permit,
    open: async (wanted) => {
      hash = wanted;
      node.hidden = false;
      head.replaceChildren("Session ", el("span", { class: "hash" }, hash));
      await load();
      node.scrollIntoView({ block: "nearest" });
      head.focus({ preventScroll: true });
    },
    close: () => {
      turn += 1;
      node.hidden = true;
      body.replaceChildren();
      delete node.dataset.hash;
    },
  };
}
