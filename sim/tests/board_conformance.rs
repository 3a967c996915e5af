//! One suite for both boards: the model may replace the real chitchat only where the two behave alike.
//!
//! Time is virtual: every bound counts gossip intervals, not the speed of the machine, and is the same for both.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh_sim::board::{
    Board, BoardConfig, BoardMember, BoardOut, Entry, FullBoard, Packet, Scuttlebutt, run_seeded,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One gossip interval (ms).
const INTERVAL: u64 = 1_000;
/// Processes in most tests.
const NODES: usize = 5;
/// Long enough for the detector to know everyone's rhythm (ms).
const WARM: u64 = 60_000;

/// A packet that has arrived: from, to, what.
type Arrival = (usize, usize, Packet);

/// The least world a board can live in: latency of 1 to 20 ms, keyed loss, sides, freezes.
struct Tiny {
    board: Box<dyn Board>,
    seed: u64,
    now: u64,
    loss_per_mille: u64,
    /// Processes on different sides do not hear each other.
    side: BTreeMap<usize, u8>,
    frozen: BTreeMap<usize, Vec<Arrival>>,
    on_the_way: BTreeMap<(u64, u64), Arrival>,
    /// Packets sent so far on each link.
    sent: BTreeMap<(usize, usize), u64>,
    packets: u64,
    views: BTreeMap<usize, Vec<BoardMember>>,
    gone: Vec<(usize, Origin)>,
    clones: Vec<usize>,
    /// A hash of every packet and event, each with its time.
    history: u64,
}

impl Tiny {
    fn new(board: Box<dyn Board>, seed: u64) -> Self {
        Self {
            board,
            seed,
            now: 0,
            loss_per_mille: 0,
            side: BTreeMap::new(),
            frozen: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            sent: BTreeMap::new(),
            packets: 0,
            views: BTreeMap::new(),
            gone: Vec::new(),
            clones: Vec::new(),
            history: 0,
        }
    }

    /// Nodes 0 to `nodes`, each seeded with the first, and time for all to know each other well.
    fn warm(board: Box<dyn Board>, seed: u64, nodes: usize) -> Self {
        let mut world = Self::new(board, seed);
        (0..nodes).for_each(|at| world.start(at, 1));
        world.run(WARM);
        assert!(world.all_see_all_alive(0..nodes), "the warm-up was long enough");
        world
    }

    /// Starts a process under the name of its index, in its `life`th life.
    fn start(&mut self, at: usize, life: u64) {
        self.start_as(at, &format!("node-{at}"), life, origin(at, life));
    }

    fn start_as(&mut self, at: usize, name: &str, generation: u64, origin: Origin) {
        let entry = Entry { name: name.to_owned(), generation, origin, seeds: vec![0] };
        self.views.remove(&at);
        self.board.start(self.now, at, entry);
        self.drain();
    }

    fn stop(&mut self, at: usize) {
        self.board.stop(self.now, at);
        self.views.remove(&at);
        self.drain();
    }

    fn freeze(&mut self, at: usize) {
        self.board.freeze(self.now, at, true);
        self.frozen.insert(at, Vec::new());
        self.drain();
    }

    fn thaw(&mut self, at: usize) {
        self.board.freeze(self.now, at, false);
        for (from, to, packet) in self.frozen.remove(&at).into_iter().flatten() {
            self.board.deliver(self.now, from, to, packet);
        }
        self.drain();
    }

    fn record(&mut self, what: &[u8]) {
        self.history = xxh3_64_with_seed(what, self.history ^ self.now);
    }

    fn drain(&mut self) {
        while let Some(out) = self.board.poll() {
            self.record(format!("{out:?}").as_bytes());
            match out {
                BoardOut::Send { from, to, packet, .. } => self.carry(from, to, packet),
                BoardOut::Members { at, members } => {
                    self.views.insert(at, members);
                }
                BoardOut::Gone { at, origin } => self.gone.push((at, origin)),
                BoardOut::Clone { at } => self.clones.push(at),
            }
        }
    }

    fn carry(&mut self, from: usize, to: usize, packet: Packet) {
        self.packets += 1;
        let count = self.sent.entry((from, to)).or_default();
        *count += 1;
        let key = [from as u64, to as u64, *count].map(u64::to_le_bytes).concat();
        let draw = xxh3_64_with_seed(&key, self.seed);
        let is_cut = self.side.get(&from) != self.side.get(&to);
        if !is_cut && draw % 1_000 >= self.loss_per_mille {
            let at = self.now + 1 + (draw >> 32) % 20;
            self.on_the_way.insert((at, self.packets), (from, to, packet));
        }
    }

    /// Does what is next, unless that is later than `until`.
    fn step(&mut self, until: u64) -> bool {
        let arrival = self.on_the_way.first_key_value().map(|(key, _)| key.0);
        let wake = self.board.next_wake_ms();
        let Some(next) = arrival.into_iter().chain(wake).min().filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = next;
        if wake == Some(next) {
            self.board.wake(next);
        } else if let Some((_, (from, to, packet))) = self.on_the_way.pop_first() {
            match self.frozen.get_mut(&to) {
                Some(held) => held.push((from, to, packet)),
                None => self.board.deliver(next, from, to, packet),
            }
        }
        self.drain();
        true
    }

    /// Lets this much time (ms) pass.
    fn run(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.step(until) {}
    }

    /// Runs until the test holds, and tells how long that took (ms). Fails after `intervals`.
    fn within(&mut self, intervals: u64, what: &str, test: impl Fn(&Self) -> bool) -> u64 {
        let (from, until) = (self.now, self.now + intervals * INTERVAL);
        while !test(self) {
            assert!(self.step(until), "seed {}: not within {intervals} intervals: {what}", self.seed);
        }
        self.now - from
    }

    fn sees_alive(&self, by: usize, of: usize) -> bool {
        self.views.get(&by).is_some_and(|view| view.iter().any(|member| member.at == of && member.alive))
    }

    fn all_see_all_alive(&self, nodes: impl Iterator<Item = usize> + Clone) -> bool {
        nodes.clone().all(|by| nodes.clone().all(|of| self.sees_alive(by, of)))
    }

    /// Nobody of `by` sees `of` alive.
    fn dead_to(&self, of: usize, mut by: impl Iterator<Item = usize>) -> bool {
        !by.any(|by| self.sees_alive(by, of))
    }
}

fn origin(at: usize, life: u64) -> Origin {
    Origin(u128::from(life) << 64 | (at as u128 + 1))
}

fn config() -> BoardConfig {
    BoardConfig { gossip_interval_ms: INTERVAL, ..BoardConfig::default() }
}

/// What a test is given: makes a board, of a configuration.
type Make = fn(u64, BoardConfig) -> Box<dyn Board>;

/// Every test of the suite, for both boards, under several seeds each.
macro_rules! suite {
    ($($test:ident),+ $(,)?) => {
        mod model {
            $(#[test] fn $test() {
                for seed in 1..=20 {
                    super::$test(|seed, config| Box::new(super::Scuttlebutt::new(seed, config)), seed);
                }
            })+
        }
        #[cfg(target_os = "linux")]
        mod full {
            $(#[test] fn $test() {
                for seed in 1..=4 {
                    super::run_seeded(seed, move || {
                        super::$test(|_, config| Box::new(super::FullBoard::new(config)), seed);
                    });
                }
            })+
        }
    };
}

suite! {
    a_join_is_seen_by_all,
    a_published_key_reaches_all,
    a_death_is_noticed_by_all,
    a_short_silence_is_no_death,
    a_restart_ends_one_life_and_begins_another,
    a_restart_with_a_lower_generation_does_too,
    a_goodbye_of_a_lower_generation_is_heard,
    an_observer_that_restarts_too_does_not_end_the_living_life,
    a_goodbye_is_heard_once,
    a_split_heals,
    a_split_longer_than_the_grace_heals_through_seeds,
    a_clone_is_noticed_by_the_older_and_nobody_else,
    loss_kills_nobody,
    a_frozen_process_is_dead_to_others_and_comes_back,
    a_forgotten_process_is_known_again_when_it_returns,
}

fn a_join_is_seen_by_all(make: Make, seed: u64) {
    let mut world = Tiny::new(make(seed, config()), seed);
    (0..NODES).for_each(|at| world.start(at, 1));
    world.within(10, "five nodes know each other", |world| world.all_see_all_alive(0..NODES));
    world.run(WARM);
    world.start(NODES, 1);
    world.within(10, "the sixth is known", |world| world.all_see_all_alive(0..=NODES));
    assert_eq!(world.gone, [], "nobody's life is over");
}

fn a_published_key_reaches_all(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.board.publish(world.now, 2, "zone", "north");
    world.drain();
    let all_read = |value: &'static str| {
        move |world: &Tiny| (0..NODES).all(|by| world.board.read(by, 2, "zone").as_deref() == Some(value))
    };
    world.within(6, "the key is read everywhere", all_read("north"));
    world.board.publish(world.now, 2, "zone", "south");
    world.drain();
    world.within(6, "its new value is read everywhere", all_read("south"));
    assert_eq!(world.board.read(0, 1, "zone"), None, "nobody else published it");
}

fn a_death_is_noticed_by_all(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.stop(3);
    let others = || [0, 1, 2, 4].into_iter();
    world.run(2 * INTERVAL);
    assert!(others().all(|by| world.sees_alive(by, 3)), "seed {seed}: two intervals are too soon");
    world.within(8, "the dead one is dead to all", |world| world.dead_to(3, others()));
    assert!(world.all_see_all_alive(others()), "nobody else died");
    assert_eq!(world.gone, [], "silence ends no life");
}

fn a_short_silence_is_no_death(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.side.insert(3, 1);
    // Two would be too many: five nodes hear of each other's heartbeats three times an interval, and eight times
    // the mean is all the patience there is.
    for _ in 0..INTERVAL / 100 {
        world.run(100);
        assert!(world.all_see_all_alive(0..NODES), "seed {seed}: silent for less than the timeout");
    }
    world.side.clear();
    for _ in 0..10 * INTERVAL / 100 {
        world.run(100);
        assert!(world.all_see_all_alive(0..NODES), "seed {seed}: and speaking again");
    }
}

fn a_restart_ends_one_life_and_begins_another(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.stop(3);
    world.run(INTERVAL / 2);
    world.start(3, 2);
    world.within(10, "the new life is the member everywhere", |world| {
        let is_new = |member: &BoardMember| member.at == 3 && member.alive && member.origin == origin(3, 2);
        (0..NODES).all(|by| world.views[&by].iter().any(is_new))
    });
    world.run(WARM);
    assert!(world.all_see_all_alive(0..NODES));
    world.gone.sort_unstable_by_key(|(at, _)| *at);
    assert_eq!(world.gone, [0, 1, 2, 4].map(|at| (at, origin(3, 1))), "each other one tells it once");
    assert!(world.clones.is_empty(), "an earlier life is no clone");
}

/// Node 3 dies and starts anew with a clock that was set right: its second life has the lower generation.
fn restarted_below(make: Make, seed: u64) -> Tiny {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.stop(3);
    world.run(INTERVAL / 2);
    world.start_as(3, "node-3", 0, origin(3, 2));
    world
}

fn a_restart_with_a_lower_generation_does_too(make: Make, seed: u64) {
    let mut world = restarted_below(make, seed);
    world.within(15, "the new life is the member everywhere", |world| {
        let is_new = |member: &BoardMember| member.at == 3 && member.alive && member.origin == origin(3, 2);
        (0..NODES).all(|by| world.views[&by].iter().any(is_new))
    });
    world.run(WARM);
    assert!(world.all_see_all_alive(0..NODES));
    world.gone.sort_unstable_by_key(|(at, _)| *at);
    assert_eq!(world.gone, [0, 1, 2, 4].map(|at| (at, origin(3, 1))), "each other one tells it once");
    assert!(world.clones.is_empty(), "an earlier life is no clone");
}

fn a_goodbye_of_a_lower_generation_is_heard(make: Make, seed: u64) {
    let mut world = restarted_below(make, seed);
    world.run(3 * INTERVAL);
    world.board.leave(world.now, 3);
    world.drain();
    let others = [0, 1, 2, 4];
    world.within(4, "the goodbye is known", |world| {
        others.iter().all(|by| world.gone.contains(&(*by, origin(3, 2))))
    });
}

fn an_observer_that_restarts_too_does_not_end_the_living_life(make: Make, seed: u64) {
    let mut world = restarted_below(make, seed);
    world.stop(1);
    world.start(1, 2);
    world.run(WARM);
    world.gone.retain(|(_, life)| *life != origin(1, 1));
    assert!(world.gone.iter().all(|(_, life)| *life == origin(3, 1)), "seed {seed}: {:?}", world.gone);
    assert!(world.all_see_all_alive(0..NODES));
}

fn a_goodbye_is_heard_once(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.board.leave(world.now, 3);
    world.drain();
    world.within(4, "the goodbye is known", |world| {
        let has_left = |member: &BoardMember| member.at == 3 && member.left && !member.alive;
        [0, 1, 2, 4].iter().all(|by| world.views[by].iter().any(has_left))
    });
    world.run(WARM);
    world.gone.sort_unstable_by_key(|(at, _)| *at);
    assert_eq!(world.gone, [0, 1, 2, 4].map(|at| (at, origin(3, 1))));
}

fn a_split_heals(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.side.extend([(3, 1), (4, 1)]);
    world.run(40 * INTERVAL);
    assert!(
        world.dead_to(3, 0..3) && world.dead_to(0, 3..5),
        "seed {seed}: the sides are dead to each other"
    );
    assert!(world.all_see_all_alive(0..3) && world.all_see_all_alive(3..5));
    world.side.clear();
    world.within(5, "all are alive again", |world| world.all_see_all_alive(0..NODES));
    assert_eq!(world.gone, []);
}

fn a_split_longer_than_the_grace_heals_through_seeds(make: Make, seed: u64) {
    let grace = BoardConfig { dead_grace_ms: 20 * INTERVAL, ..config() };
    let mut world = Tiny::warm(make(seed, grace), seed, NODES);
    world.side.extend([(3, 1), (4, 1)]);
    world.run(100 * INTERVAL);
    let is_unknown = |by: usize, of: usize| world.views[&by].iter().all(|member| member.at != of);
    assert!(is_unknown(0, 3) && is_unknown(3, 0), "seed {seed}: forgotten");
    world.side.clear();
    world.within(15, "all are alive again", |world| world.all_see_all_alive(0..NODES));
    assert_eq!(world.gone, [], "the same lives, known again");
}

fn a_clone_is_noticed_by_the_older_and_nobody_else(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.start_as(NODES, "node-1", 2, origin(NODES, 1));
    world.run(5 * INTERVAL);
    assert!(world.clones.is_empty(), "seed {seed}: five rounds of a rising heartbeat are asked for");
    world.within(10, "the clone is noticed", |world| !world.clones.is_empty());
    world.run(WARM);
    assert_eq!(world.clones, [1]);
}

fn loss_kills_nobody(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.loss_per_mille = 300;
    for _ in 0..120 * INTERVAL / 500 {
        world.run(500);
        assert!(world.all_see_all_alive(0..NODES), "seed {seed}: a false death");
    }
}

fn a_frozen_process_is_dead_to_others_and_comes_back(make: Make, seed: u64) {
    let mut world = Tiny::warm(make(seed, config()), seed, NODES);
    world.freeze(3);
    world.run(30 * INTERVAL);
    let others = || [0, 1, 2, 4].into_iter();
    assert!(world.dead_to(3, others()) && world.all_see_all_alive(others()));
    assert!(others().all(|of| world.sees_alive(3, of)), "seed {seed}: the frozen one notices nothing");
    world.thaw(3);
    assert!(others().any(|of| !world.sees_alive(3, of)), "seed {seed}: all were silent for 30 s");
    world.within(5, "all are alive again", |world| world.all_see_all_alive(0..NODES));
    assert_eq!(world.gone, []);
}

fn a_forgotten_process_is_known_again_when_it_returns(make: Make, seed: u64) {
    let grace = BoardConfig { dead_grace_ms: 20 * INTERVAL, ..config() };
    let mut world = Tiny::warm(make(seed, grace), seed, NODES);
    world.stop(3);
    world.run(40 * INTERVAL);
    assert!([0, 1, 2, 4].iter().all(|by| world.views[by].len() == NODES - 1), "seed {seed}: forgotten");
    world.start(3, 2);
    world.within(10, "the new life is known", |world| world.all_see_all_alive(0..NODES));
    world.within(10, "its first life is over", |world| world.gone.len() == NODES - 1);
    world.run(WARM);
    world.gone.sort_unstable_by_key(|(at, _)| *at);
    assert_eq!(world.gone, [0, 1, 2, 4].map(|at| (at, origin(3, 1))), "its first life is over");
}

/// A bit of everything, and what it hashes to.
#[cfg(target_os = "linux")]
fn eventful(make: Make, seed: u64) -> u64 {
    let mut world = Tiny::new(make(seed, config()), seed);
    (0..NODES).for_each(|at| world.start(at, 1));
    world.loss_per_mille = 50;
    world.run(20 * INTERVAL);
    world.freeze(2);
    world.board.publish(world.now, 1, "zone", "north");
    world.run(30 * INTERVAL);
    world.thaw(2);
    world.stop(4);
    world.run(700);
    world.start(4, 2);
    world.side.extend([(0, 1), (1, 1)]);
    world.run(20 * INTERVAL);
    world.side.clear();
    world.start_as(5, "node-1", 2, origin(5, 1));
    world.run(10 * INTERVAL);
    world.board.leave(world.now, 3);
    world.run(10 * INTERVAL);
    assert!(world.packets > 1_000);
    world.history
}

#[cfg(target_os = "linux")]
#[test]
fn a_seed_of_the_full_board_can_be_repeated() {
    let make: Make = |_, config| Box::new(FullBoard::new(config));
    let run = move |seed| run_seeded(seed, move || eventful(make, seed));
    for seed in 1..=5 {
        let once = run(seed);
        assert_eq!(once, run(seed), "seed {seed}");
        assert_ne!(once, run(seed + 100), "seed {seed}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_seed_of_the_model_can_be_repeated() {
    let make: Make = |seed, config| Box::new(Scuttlebutt::new(seed, config));
    assert_eq!(eventful(make, 1), eventful(make, 1));
    assert_ne!(eventful(make, 1), eventful(make, 2));
}
