//! What keeps a joiner from being ready although nobody has answered: reasons from outside, and seeds that move.

use sessionmesh::core::limits::Limits;
use sessionmesh::core::node::{Input, Node, Setup};
use sessionmesh::core::replica::Serving;
use sessionmesh::core::time::Now;

const SOLO_MS: u64 = 10_000;

struct Joiner {
    node: Node,
    replica: std::sync::Arc<sessionmesh::core::replica::Replica>,
}

impl Joiner {
    fn new() -> Self {
        let limits = Limits { solo_after_ms: SOLO_MS, ..Limits::default() };
        let setup = Setup {
            limits,
            seed: [7; 32],
            hash_key: 1,
            has_seeds: true,
            watched: false,
            membership: None,
            now: at(0),
        };
        let (node, replica) = Node::new(setup);
        Self { node, replica }
    }

    /// Lets time pass until `until_ms`; when it became ready, if it did.
    fn ready_by(&mut self, from_ms: u64, until_ms: u64) -> Option<u64> {
        (from_ms..=until_ms).step_by(250).find(|ms| {
            self.node.handle(at(*ms), Input::Tick);
            self.replica.serving(at(*ms)) == Serving::Ready
        })
    }
}

fn at(mono_ms: u64) -> Now {
    Now { mono_ms, wall_ms: 1_700_000_000_000 + mono_ms }
}

#[test]
fn nobody_answers_and_the_node_serves_alone() {
    assert_eq!(Joiner::new().ready_by(0, 60_000), Some(SOLO_MS));
}

#[test]
fn a_node_that_is_held_is_not_ready_says_why_and_is_once_it_is_let_go() {
    let mut joiner = Joiner::new();
    joiner.node.handle(at(1_000), Input::Hold(Some("a namesake is asked")));
    assert_eq!(joiner.ready_by(1_000, 30_000), None);
    assert_eq!(joiner.node.phase_reason(), "a namesake is asked");
    joiner.node.handle(at(30_000), Input::Hold(None));
    assert_eq!(joiner.replica.serving(at(30_000)), Serving::Ready);
    // Who serves goes on serving.
    joiner.node.handle(at(30_250), Input::Hold(Some("too late")));
    assert_eq!(joiner.replica.serving(at(30_250)), Serving::Ready);
}

#[test]
fn a_new_address_behind_the_seeds_names_begins_the_wait_again() {
    let mut joiner = Joiner::new();
    assert_eq!(joiner.node.solo_at_ms(), Some(SOLO_MS));
    assert_eq!(joiner.ready_by(0, 9_500), None);
    joiner.node.handle(at(9_500), Input::SeedsMoved);
    assert_eq!(joiner.node.solo_at_ms(), Some(19_500));
    assert_eq!(joiner.ready_by(9_500, 60_000), Some(19_500));
}

#[test]
fn names_that_never_stop_moving_do_not_keep_the_first_of_a_mesh_out() {
    let mut joiner = Joiner::new();
    let ready = (0..=60_000).step_by(500).find(|ms| {
        joiner.node.handle(at(*ms), Input::SeedsMoved);
        joiner.replica.serving(at(*ms)) == Serving::Ready
    });
    assert_eq!(ready, Some(3 * SOLO_MS));
}
