// One session on every peer, side by side: what to put next to what. Pure: tested by tests/browser/page/.

/** Columns beyond this many would not be read. */
export const COLUMNS = 8;

const same = (a, b) => a !== null && b !== null && a.origin === b.origin && a.at_ms === b.at_ms && a.logical === b.logical;

/** What a copy has of one field: null where it has nothing of it. */
const field = (session, name) => session.fields.find((f) => f.name === name) ?? null;

/**
 * The copies worth a column (this node's first, then those that differ, then equal ones), and for each field what each
 * of them has and whether that is what is here.
 * @returns {{columns: {node: string, here: boolean}[], left_out: string[],
 *   rows: {name: string, cells: {field: object|null, mark: "here"|"same"|"differs"|"absent"}[]}[]}}
 */
export function sideBySide(detail) {
  const here = { node: detail.view.node, here: true, session: detail.session };
  const rank = { differs: 0, same: 1 };
  const others = (detail.peers ?? []).filter((peer) => peer.session !== null)
    .sort((a, b) => (rank[a.answer] ?? 2) - (rank[b.answer] ?? 2) || (a.node < b.node ? -1 : 1))
    .map((peer) => ({ node: peer.node, here: false, session: peer.session }));
  const copies = [here, ...others].slice(0, COLUMNS);
  const names = [...new Set(copies.flatMap(({ session }) => session.fields.map((f) => f.name)))].sort();
  const rows = names.map((name) => {
    const mine = field(here.session, name);
    const cells = copies.map((copy) => {
      const found = field(copy.session, name);
      if (copy.here) return { field: found, mark: found ? "here" : "absent" };
      if (!found) return { field: null, mark: "absent" };
      const equal = mine !== null && same(mine.stamp, found.stamp) && mine.removed === found.removed;
      return { field: found, mark: equal ? "same" : "differs" };
    });
    return { name, cells };
  });
  const columns = copies.map(({ node, here: own }) => ({ node, here: own }));
  return { columns, rows, left_out: others.slice(COLUMNS - 1).map((o) => o.node) };
}
