//! Lag by peer and origin, as one node knows it: what this node holds and does not know the peer to hold.

use serde_json::{Value, json};

use crate::core::causality::Origin;
use crate::core::replica::GONE;
use crate::dashboard::answer::life;
use crate::dashboard::limits::MATRIX;
use crate::mesh::observe::{Gathered, MemberView};

/// Writes and the moment of which that is true (ms); nothing is known without either.
type Cell = (Option<u64>, Option<u64>);

/// The part.
pub(super) fn body(seen: &Gathered) -> Value {
    let members: Vec<&MemberView> = seen.members.iter().take(MATRIX).collect();
    let columns = members.iter().map(|m| json!({ "node": m.node, "origin": life(m.origin.0) }));
    let rows = members.iter().map(|m| row(seen, m, &members));
    json!({
        "columns": columns.collect::<Vec<Value>>(),
        "rows": rows.collect::<Vec<Value>>(),
        "left_out": seen.members.len().saturating_sub(MATRIX),
    })
}

fn row(seen: &Gathered, of: &MemberView, columns: &[&MemberView]) -> Value {
    let cells = columns.iter().map(|column| cell(seen, of.origin, column.origin));
    let (behind, known): (Vec<Option<u64>>, Vec<Option<u64>>) = cells.unzip();
    json!({
        "node": of.node,
        "origin": life(of.origin.0),
        "by": source(seen, of.origin),
        "behind_writes": behind,
        "known_at_ms": known,
    })
}

/// When a peer was last equal (wall ms), if ever.
fn equal_at_ms(seen: &Gathered, peer: Origin) -> Option<u64> {
    let compared = seen.observed.as_ref()?.compared.get(&peer)?;
    (compared.equal_at_ms > 0).then_some(compared.equal_at_ms)
}

fn source(seen: &Gathered, peer: Origin) -> &'static str {
    match () {
        () if peer == seen.origin => "self",
        () if equal_at_ms(seen, peer).is_some() => "round",
        () if seen.unacked.contains_key(&peer) => "acknowledged",
        () => "never",
    }
}

fn cell(seen: &Gathered, row: Origin, column: Origin) -> Cell {
    let observed = seen.observed.as_ref();
    if row == seen.origin {
        if column == row {
            return (Some(0), Some(seen.wall_ms));
        }
        let fresh = observed.and_then(|o| o.fresh.get(&column)).filter(|at| **at & GONE == 0 && **at > 0);
        return (Some(0), fresh.copied());
    }
    let at = equal_at_ms(seen, row);
    let since = at.and_then(|_| {
        let then = observed?.compared.get(&row)?.seen.get(&column).copied().unwrap_or(0);
        // A peer holds its own writes, whoever else does.
        let now = if column == row { then } else { seen.newest.get(&column).copied().unwrap_or(then) };
        Some(now.saturating_sub(then))
    });
    match seen.unacked.get(&row).filter(|_| column == seen.origin) {
        // Acknowledgements are newer than rounds, and about our own writes only.
        Some(lacks) => (Some(since.map_or(*lacks, |since| since.min(*lacks))), Some(seen.wall_ms)),
        None => (since, at),
    }
}

/// Everything this node holds and does not know a member to hold; `None` if nothing is known of it.
pub(super) fn behind(seen: &Gathered, of: &MemberView) -> Option<u64> {
    let columns = seen.members.iter().take(MATRIX);
    columns.filter_map(|column| cell(seen, of.origin, column.origin).0).reduce(u64::saturating_add)
}
