//! Times, nodes and values as a person says them.

use std::collections::BTreeMap;

use super::NodeIx;

/// A length of time: `250 ms`, `12 s`, `1 min 5 s`, `2 h`.
pub(super) fn span(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    if ms < 1_000 || !ms.is_multiple_of(1_000) {
        if (1_000..60_000).contains(&ms) {
            let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
            return format!("{} s", text.trim_end_matches('0'));
        }
        if ms >= 60_000 {
            let (minutes, rest) = (ms / 60_000 * 60_000, ms % 60_000);
            return format!("{} {}", span(minutes), span(rest));
        }
        return format!("{ms} ms");
    }
    let mut parts = Vec::new();
    let mut rest = ms;
    for (unit, word) in UNITS {
        if rest >= unit {
            parts.push(format!("{} {word}", rest / unit));
            rest %= unit;
        }
    }
    parts.join(" ")
}

/// A list: `a, b and c`.
pub(super) fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    match items.split_last() {
        None => "nobody".into(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Nodes: `n0, n1 and n4`; runs of three and more are shortened.
pub(super) fn nodes(nodes: &[NodeIx]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < nodes.len() {
        let mut end = at;
        while end + 1 < nodes.len() && nodes[end + 1].0 == nodes[end].0 + 1 {
            end += 1;
        }
        if end >= at + 2 {
            parts.push(format!("{} to {}", nodes[at], nodes[end]));
        } else {
            parts.extend(nodes[at..=end].iter().map(NodeIx::to_string));
        }
        at = end + 1;
    }
    list(parts)
}

/// Fields and their values, shortened where they are long.
pub(super) fn fields(fields: &BTreeMap<String, String>) -> String {
    list(fields.iter().map(|(k, v)| format!("{} = {:?}", short(k), short(v))))
}

/// Text, shortened where it is long.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(32) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}

/// A share of a thousand: `3 %`, `0.5 %`.
pub(super) fn share(per_mille: u64) -> String {
    match per_mille % 10 {
        0 => format!("{} %", per_mille / 10),
        tenth => format!("{}.{tenth} %", per_mille / 10),
    }
}

/// A count and its noun: `1 node`, `2 nodes`.
pub(super) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_are_said() {
        let said = [0, 250, 1_000, 12_500, 16_001, 65_000, 65_250, 3_600_000, 90_061_000].map(span);
        let wanted = [
            "0 ms",
            "250 ms",
            "1 s",
            "12.5 s",
            "16.001 s",
            "1 min 5 s",
            "1 min 5.25 s",
            "1 h",
            "1 d 1 h 1 min 1 s",
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn nodes_in_a_row_are_shortened() {
        let nodes_of = |list: &[usize]| nodes(&list.iter().map(|n| NodeIx(*n)).collect::<Vec<_>>());
        assert_eq!(nodes_of(&[0, 1, 2, 3, 5, 6]), "n0 to n3, n5 and n6");
        assert_eq!(nodes_of(&[2]), "n2");
    }
}
