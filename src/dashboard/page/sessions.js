// The session inspector's way in: sessions held here, found by the first digits of their hash, or by what a user has.

import { get } from "./api.js";
import { ago, now } from "./clock.js";
import { el } from "./dom.js";
import { finder } from "./find.js";
import { bytes, clockTime, count } from "./format.js";
import { inspector } from "./inspector.js";
import { table } from "./table.js";

const PAGE = 50;
/** Empty pages are gone on from by itself this often: a million records. */
const EMPTY_PAGES = 20;

const columns = [
  { name: "hash", label: "hash", head: true, value: (s) => s.hash,
    draw: (hash) => el("a", { href: `#session/${hash}`, class: "hash", "data-session": hash }, hash) },
  { name: "state", label: "state", value: (s) => s.state },
  { name: "fields", label: "fields", numeric: true, value: (s) => s.fields },
  { name: "bytes", label: "size", numeric: true, value: (s) => bytes(s.bytes) },
  { name: "created", label: "created", value: (s) => s.created_at_ms, draw: (at) => (at === null ? "–" : ago(at)) },
  { name: "touched", label: "touched", value: (s) => s.touched_at_ms, draw: (at) => (at === null ? "–" : ago(at)) },
  { name: "expires", label: "expires", value: (s) => s.expires_at_ms, draw: (at) => (at === null ? "–" : ago(at)) },
];

/** The digits of a hash in what was typed; null if there is something else in it. Pure. */
export function prefix(typed) {
  const digits = typed.trim().replace(/^#/, "").toLowerCase();
  return /^[0-9a-f]{0,8}$/.test(digits) ? digits : null;
}

/** The card of the sessions. */
export function sessions(card) {
  const input = el("input", { id: "session-prefix", type: "search", placeholder: "hash, or its first digits", maxlength: 9,
    autocomplete: "off", spellcheck: "false", "aria-label": "First hex digits of a session's hash, as in the logs" });
  const find = el("button", { type: "submit", id: "session-find" }, "Find");
  const form = el("form", { class: "tools", role: "search" }, input, find);
  const rows = table({ id: "sessions-table", label: "Sessions held here", key: (s) => `${s.hash} ${s.created_at_ms}`,
    empty: "No session to list.", columns });
  const more = el("button", { type: "button", hidden: true }, "More");
  const said = el("span", { class: "quiet", role: "status" });
  const one = inspector();
  const known = finder((found, what) => {
    [list, next] = [found, null];
    rows.update(list);
    more.hidden = true;
    said.textContent = what;
    if (list.length === 1) location.hash = `#session/${list[0].hash}`;
  });
  card.append(el("p", { class: "quiet" }, "By the short hash that logs carry, or by what is known of it: that is sent once, hashed by the node, and told nowhere."),
    form, known, one.node, rows.node, el("p", {}, more, " ", said));
  let [list, next, asked, looked_at] = [[], null, "", 0];

  const page = async () => {
    try {
      for (let n = 0; n < EMPTY_PAGES; n += 1) {
        const part = await get("sessions", { prefix: asked, limit: PAGE, after: next });
        list = [...list, ...part.sessions];
        next = part.next_after;
        looked_at += part.looked_at;
        if (part.sessions.length || next === null) break;
      }
      rows.update(list);
      more.hidden = next === null;
      said.textContent = `${count(list.length)} found in ${count(looked_at)} records${next === null ? ", all there are," : ""} `
        + `read at ${clockTime(now(), now())}.`;
    } catch (error) {
      said.textContent = error.message;
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const digits = prefix(input.value);
    if (digits === null) {
      said.textContent = "A hash has up to 8 hex digits.";
      return;
    }
    [list, next, asked, looked_at] = [[], null, digits, 0];
    await page();
    if (list.length === 1 && next === null) location.hash = `#session/${list[0].hash}`;
  });
  more.addEventListener("click", page);
  const route = () => {
    const [, hash] = location.hash.match(/^#session\/([0-9a-f]{8})$/) ?? [];
    if (hash) one.open(hash);
    else if (location.hash === "#sessions") one.close();
  };
  window.addEventListener("hashchange", route);
  return {
    begin: () => {
      if (list.length === 0) page();
      if (!one.node.dataset.hash) route();
    },
    permit: one.permit,
  };
}
