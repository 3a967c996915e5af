// Conflicts: two writes of one field of which neither had seen the other, what was kept and what lost.

import { get } from "./api.js";
import { moment } from "./clock.js";
import { el } from "./dom.js";
import { count } from "./format.js";
import { News } from "./news.js";
import { side, valuesButton } from "./stamps.js";
import { table } from "./table.js";

const FIRST = 100;
const KEPT = 1_000;

const columns = [
  { name: "at", label: "met", value: (c) => c.at_ms, draw: (at) => moment(at) },
  { name: "session", label: "session", value: (c) => c.session,
    draw: (hash) => el("a", { href: `#session/${hash}`, class: "hash" }, hash) },
  { name: "field", label: "field", head: true, value: (c) => c.field },
  { name: "kept", label: "kept", value: (c) => c.kept, draw: (s) => side(s) },
  { name: "lost", label: "lost", value: (c) => c.lost, draw: (s) => side(s) },
];

/** The card of the conflicts. */
export function conflicts(card) {
  const news = new News(KEPT);
  let about = { total: 0, missed: 0, capacity: KEPT };
  const rows = table({ id: "conflicts-table", label: "Conflicts, newest first", key: (c) => String(c.seq),
    empty: "No two writes of one field have met here. Another node may have met some.", columns });
  const older = el("button", { type: "button", hidden: true }, "Older");
  const said = el("span", { class: "quiet" });
  const show = () => {
    rows.update(news.list());
    const missed = about.missed ? `, ${count(about.missed)} more came too fast to be noted` : "";
    said.textContent = `${count(Math.max(about.total, news.list()[0]?.seq ?? 0))} noted here, the last ${count(about.capacity)} are kept${missed}`;
  };
  const load = async (before) => {
    try {
      about = await get("conflicts", { limit: FIRST, before, values: values.wanted() ? 1 : null });
      news.add(about.conflicts);
      older.hidden = about.next_before === null || news.list().length >= KEPT;
      show();
    } catch (error) {
      said.textContent = error.message;
    }
  };
  const begin = () => {
    news.clear();
    return load(null);
  };
  const values = valuesButton("conflicts-values", begin);
  older.addEventListener("click", () => load(news.oldest));
  card.append(el("div", { class: "tools" }, values.node), rows.node, el("p", {}, older, " ", said));
  return {
    begin,
    permit: values.permit,
    add: (list) => {
      if (list.length === 0) return;
      news.add(list);
      show();
      if (values.wanted()) load(null); // the stream never carries values
    },
  };
}
