// The event log: what happened at this node, with causes; filtered by kind and by a word.

import { get } from "./api.js";
import { moment } from "./clock.js";
import { el, severity } from "./dom.js";
import { plural } from "./format.js";
import { News } from "./news.js";
import { table } from "./table.js";

const FIRST = 200;
const KEPT = 1_000;

const columns = [
  { name: "at", label: "when", value: (e) => e.at_ms, draw: (at) => moment(at) },
  { name: "severity", label: "severity", value: (e) => e.severity, draw: (s) => severity(s) },
  { name: "kind", label: "kind", value: (e) => e.kind, draw: (kind) => kind.replaceAll("_", " ") },
  { name: "node", label: "member", value: (e) => e.node },
  { name: "text", label: "what and why", value: (e) => e.text },
];

/** Whether an event passes the filter; an empty one lets all pass. */
export const passes = (event, kind, word) => (!kind || event.kind === kind)
  && (!word || `${event.text} ${event.node ?? ""} ${event.kind} ${event.severity}`.toLowerCase().includes(word.toLowerCase()));

/** The card of the events. */
export function events(card) {
  const news = new News(KEPT);
  const kind = el("select", { id: "events-kind", "aria-label": "Kind of event" }, el("option", { value: "" }, "all kinds"));
  const word = el("input", { id: "events-word", type: "search", placeholder: "filter", "aria-label": "Filter events by a word" });
  const rows = table({ id: "events-table", label: "Events, newest first", key: (e) => String(e.seq),
    empty: "Nothing has happened yet.", columns });
  const older = el("button", { type: "button", hidden: true }, "Older");
  const said = el("span", { class: "quiet" });
  card.append(el("div", { class: "tools" }, kind, word), rows.node, el("p", {}, older, " ", said));

  const show = () => {
    const all = news.list();
    for (const name of [...new Set(all.map((e) => e.kind))].sort()) {
      if (![...kind.options].some((o) => o.value === name)) kind.append(el("option", { value: name }, name.replaceAll("_", " ")));
    }
    const shown = all.filter((e) => passes(e, kind.value, word.value.trim()));
    rows.update(shown);
    said.textContent = shown.length === all.length ? plural(all.length, "event") : `${shown.length} of ${plural(all.length, "event")}`;
  };
  const load = async (before) => {
    try {
      const part = await get("events", { limit: FIRST, before });
      news.add(part.events);
      older.hidden = part.next_before === null || news.list().length >= KEPT;
      show();
    } catch (error) {
      said.textContent = error.message;
    }
  };
  kind.addEventListener("change", show);
  word.addEventListener("input", show);
  older.addEventListener("click", () => load(news.oldest));
  return {
    begin: () => {
      news.clear();
      return load(null);
    },
    add: (list) => {
      if (list.length === 0) return;
      news.add(list);
      show();
    },
  };
}
