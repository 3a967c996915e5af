//! Session states as text a person can read, in an order that does not depend on how they were joined.

use std::fmt::Write;

use sessionmesh::core::causality::{Origin, Ver, origin_at, short_origin};
use sessionmesh::core::session::{CUT, Live, State, Ttl};

/// The origin a test calls by one capital letter.
pub fn origin(letter: char) -> Origin {
    Origin(u128::from(u32::from(letter)) << 120)
}

fn name(short: u32) -> String {
    match char::from((short >> 24) as u8) {
        letter @ 'A'..='Z' if short.trailing_zeros() >= 24 => letter.to_string(),
        _ => format!("{short:08x}"),
    }
}

fn by(ver: Ver, origins: &[Origin]) -> String {
    let who = name(short_origin(origin_at(origins, ver.origin)));
    let logical = if ver.hlc.logical() == 0 { String::new() } else { format!(".{}", ver.hlc.logical()) };
    format!("{who}{} @{}{logical}", ver.counter, ver.hlc.ms())
}

/// One line per component, then one per op that carries a conflict context.
///
/// # Panics
/// If an op of the table is referred to by nothing, or twice in the table: its dot would haunt the index.
pub fn spell(state: &State<'_>, origins: &[Origin]) -> Vec<String> {
    match state {
        State::Dead(dead) => vec![format!("dead until {} ({})", dead.hard_ms, by(dead.ver, origins))],
        State::Live(live) => spell_live(live, origins),
    }
}

fn spell_live(live: &Live<'_>, origins: &[Origin]) -> Vec<String> {
    let mut used = vec![false; live.ops.len()];
    let mut op = |at: u32| {
        used[at as usize] = true;
        by(live.ops[at as usize].ver, origins)
    };
    let mut lines = Vec::new();
    if let Some(b) = live.birth {
        lines.push(format!("born {} to {} ({})", b.created_ms, b.hard_ms, op(b.op)));
    }
    if let Some(t) = live.touch {
        lines.push(format!("touched {} ({})", t.ms, op(t.op)));
    }
    if let Some(t) = live.ttl {
        let ttl = match t.ttl {
            Ttl::Sliding(ms) => format!("sliding {ms}"),
            Ttl::Absolute(ms) => format!("absolute {ms}"),
        };
        lines.push(format!("ttl {ttl} ({})", op(t.op)));
    }
    for (kind, mark) in [("sliding", live.high_sliding), ("absolute", live.high_absolute)] {
        lines.extend(mark.map(|m| format!("high {kind} {} ({})", m.ms, op(m.op))));
    }
    for f in &live.fields {
        let value = f.value.map_or("(removed)".into(), |v| format!("= {}", String::from_utf8_lossy(v)));
        lines.push(format!("{} {value} ({})", f.key, op(f.op)));
    }
    assert!(used.iter().all(|&u| u), "an op nothing refers to: {live:?}");
    let mut saw: Vec<String> =
        live.ops.iter().filter_map(|op| context(op.ver, &op.context, origins)).collect();
    saw.sort();
    assert!(saw.windows(2).all(|w| w[0] != w[1]), "one op twice in the table: {live:?}");
    lines.extend(saw);
    lines
}

fn context(ver: Ver, seen: &[(u32, u64)], origins: &[Origin]) -> Option<String> {
    let mut line = format!("{} saw", by(ver, origins));
    let mut seen = seen.to_vec();
    seen.sort_unstable();
    for entry in &seen {
        // Writing to a string cannot fail.
        let _ = match *entry {
            CUT => write!(line, " ?"),
            (short, counter) => write!(line, " {}{counter}", name(short)),
        };
    }
    (!seen.is_empty()).then_some(line)
}
