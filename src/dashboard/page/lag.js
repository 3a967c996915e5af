// What of the lag matrix is worth showing, and how bad a cell is. Pure: tested by tests/browser/page/.

/** A matrix of more members than this is reduced to those with a lag. */
export const WHOLE = 16;

/** Level of a cell, from 0 (nothing missing) to 4; "unknown" where nothing is known. */
export function level(behind) {
  if (behind === null) return "unknown";
  if (behind === 0) return 0;
  if (behind < 10) return 1;
  if (behind < 100) return 2;
  return behind < 1_000 ? 3 : 4;
}

/**
 * The rows and columns to show, by index: all of a small mesh; of a large one those with something missing or unknown,
 * the worst first to be kept, and how many were left out.
 */
export function chosen(matrix, most = WHOLE) {
  const size = matrix.columns.length;
  const all = [...Array(size).keys()];
  if (size <= WHOLE) return { rows: all, columns: all, left_out: 0, reduced: false };
  const weight = (cells) => cells.reduce((sum, cell) => sum + (cell === null ? 1 : cell), 0);
  const worst = (weights) => {
    const found = all.filter((n) => weights[n] > 0).sort((a, b) => weights[b] - weights[a] || a - b);
    return { kept: found.slice(0, most).sort((a, b) => a - b), left_out: Math.max(0, found.length - most) };
  };
  const rows = worst(matrix.rows.map((row) => weight(row.behind_writes)));
  const columns = worst(all.map((n) => weight(matrix.rows.map((row) => row.behind_writes[n] ?? null))));
  return { rows: rows.kept, columns: columns.kept, left_out: Math.max(rows.left_out, columns.left_out), reduced: true };
}
