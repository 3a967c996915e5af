//! Circles in a graph: strongly connected components of more than one node. (A node that needs itself is none.)

use std::collections::{BTreeMap, BTreeSet};

/// Who needs whom.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// The components, each in order, the largest first. Graphs here have some dozens of nodes: whom a node reaches may be
/// written down for each.
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reachable(graph, node))).collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for (node, forth) in &reached {
        if found.iter().flatten().any(|member| member == *node) {
            continue;
        }
        let back = |other: &&&String| reached.get(**other).is_some_and(|back| back.contains(node));
        let mut members: BTreeSet<&String> = forth.iter().filter(back).copied().collect();
        members.insert(node);
        if members.len() > 1 {
            found.push(members.into_iter().cloned().collect());
        }
    }
    found.sort_by_key(|members| (std::cmp::Reverse(members.len()), members.clone()));
    found
}

fn reachable<'a>(graph: &'a Graph, from: &str) -> BTreeSet<&'a String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(node) = open.pop() {
        for next in graph.get(&node).into_iter().flatten() {
            if found.insert(next) {
                open.push(next.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn two_that_need_each_other_by_whatever_way_are_in_one_circle() {
        let all = circles(&graph(&[
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "d"),
            ("d", "d"),
            ("e", "f"),
            ("f", "e"),
            ("g", "a"),
        ]));
        assert_eq!(all, [vec!["a", "b", "c"], vec!["e", "f"]]);
        assert_eq!(circles(&graph(&[("a", "b"), ("a", "c"), ("b", "c")])), Vec::<Vec<String>>::new());
    }
}
