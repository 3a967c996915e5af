// A table whose rows stay the same elements while their contents change, so that focus, selection and scroll stay too.

import { el, redraw } from "./dom.js";

/**
 * @param {object} options
 * @param {string} options.id of the table
 * @param {string} options.label what it is, for those who do not see it
 * @param {(row: object) => string} options.key what makes a row the same row
 * @param {string} options.empty what is said instead of no rows
 * @param {{name: string, label: string, title?: string, numeric?: boolean, head?: boolean,
 *   value: (row: object) => unknown, draw?: (value: unknown, row: object) => Node|string}[]} options.columns
 *   `value` decides whether a cell is drawn again; `head`: the cell names its row
 */
export function table({ id, label, key, empty, columns }) {
  const heads = columns.map((c) =>
    el("th", { scope: "col", title: c.title, class: c.numeric && "number", "data-column": c.name }, c.label));
  const body = el("tbody");
  const none = el("p", { class: "quiet none" }, empty);
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", { id }, el("caption", { class: "unseen" }, label), el("thead", {}, el("tr", {}, ...heads)), body));
  const node = el("div", {}, none, scroll);
  const rows = new Map();

  const make = (name) => {
    const cells = columns.map((c) => el(c.head ? "th" : "td",
      { scope: c.head && "row", class: c.numeric && "number", "data-column": c.name }));
    return el("tr", { "data-key": name }, ...cells);
  };

  const update = (list) => {
    none.hidden = list.length > 0;
    scroll.hidden = list.length === 0;
    const wanted = new Set(list.map(key));
    for (const [name, row] of rows) {
      if (!wanted.has(name)) {
        row.remove();
        rows.delete(name);
      }
    }
    list.forEach((data, at) => {
      const name = key(data);
      const row = rows.get(name) ?? make(name);
      rows.set(name, row);
      if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
      columns.forEach((c, n) => {
        const value = c.value(data);
        redraw(row.children[n], value, () => (c.draw ? c.draw(value, data) : String(value ?? "–")));
      });
    });
  };
  const showColumn = (name, shown) => {
    for (const cell of scroll.querySelectorAll(`[data-column="${name}"]`)) cell.hidden = !shown;
  };
  update([]);
  return { node, update, showColumn };
}
