//! How the product reads the board: from incarnations to members, ends of lives, clones, remembered peers.
//!
//! Rule for rule as `view.rs`, `rivals.rs` and `peers.rs` of the product's discovery.

use sessionmesh::core::causality::Origin;

use super::detector::Seen;
use super::ledger::Ledger;
use super::{BoardMember, BoardOut};

/// How long a rival's heartbeat must go on rising before it is believed, in gossip rounds.
const PROOF_ROUNDS: u64 = 5;
/// Peers remembered beyond their time on the board.
const REMEMBERED_PEERS: usize = 128;
/// No incarnation.
const NOBODY: u32 = u32::MAX;

/// The member behind one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Face {
    incarnation: u32,
    alive: bool,
    left: bool,
    /// What was known of it when it was looked at.
    version: u32,
}

/// The last life seen under one name.
#[derive(Clone, Copy, Debug)]
struct Life {
    origin: Origin,
    generation: u64,
    gone: bool,
}

/// Another incarnation under our own name, newer than we are.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    incarnation: u32,
    first_seen_ms: u64,
    heartbeat: u32,
    told: bool,
}

/// One process's reading of the board.
#[derive(Debug)]
pub(super) struct Sight {
    at: usize,
    own: u32,
    /// In order of the names' numbers.
    faces: Vec<Face>,
    lives: Vec<Option<Life>>,
    suspects: Vec<Suspect>,
    /// When each address was last seen alive, in looks; 0 for never.
    last_alive: Vec<u64>,
    looks: u64,
    /// By name: reused from look to look.
    best: Vec<u32>,
}

impl Sight {
    pub(super) fn new(at: usize, own: u32) -> Self {
        Self {
            at,
            own,
            faces: Vec::new(),
            lives: Vec::new(),
            suspects: Vec::new(),
            last_alive: Vec::new(),
            looks: 0,
            best: Vec::new(),
        }
    }

    /// Reads the board and tells what changed.
    pub(super) fn look(
        &mut self,
        now_ms: u64,
        interval_ms: u64,
        ledger: &Ledger,
        (known, seen): (&[u32], &[Seen]),
        out: &mut impl FnMut(BoardOut),
    ) {
        let faces = self.condense(ledger, known, seen);
        self.tell_ends(ledger, &faces, out);
        let facts = |face: &Face| ledger.get(face.incarnation).facts_upto(face.version);
        let seems = |face: &Face| (face.incarnation, face.alive, face.left, facts(face));
        let changed = !faces.iter().map(seems).eq(self.faces.iter().map(seems));
        self.faces = faces;
        if changed {
            out(BoardOut::Members { at: self.at, members: self.members(ledger) });
        }
        self.watch_rivals(now_ms, interval_ms * PROOF_ROUNDS, ledger, (known, seen), out);
        self.remember(ledger);
    }

    /// The newest live incarnation of each name, else the newest; never one without an origin.
    fn condense(&mut self, ledger: &Ledger, known: &[u32], seen: &[Seen]) -> Vec<Face> {
        self.best.clear();
        self.best.resize(ledger.names(), NOBODY);
        let rank = |incarnation: u32| (seen[incarnation as usize].alive, ledger.get(incarnation).generation);
        for &incarnation in known {
            let best = &mut self.best[ledger.get(incarnation).name as usize];
            let has_origin = seen[incarnation as usize].version > 0;
            if has_origin && (*best == NOBODY || rank(incarnation) > rank(*best)) {
                *best = incarnation;
            }
        }
        let chosen = self.best.iter().filter(|best| **best != NOBODY);
        chosen
            .map(|&incarnation| {
                let Seen { alive, version, .. } = seen[incarnation as usize];
                let left = ledger.get(incarnation).has_left(version);
                Face { incarnation, alive: alive && !left, left, version }
            })
            .collect()
    }

    fn tell_ends(&mut self, ledger: &Ledger, faces: &[Face], out: &mut impl FnMut(BoardOut)) {
        self.lives.resize(ledger.names(), None);
        let mut ends: Vec<(&str, Origin)> = Vec::new();
        for face in faces {
            let incarnation = ledger.get(face.incarnation);
            if let Some(origin) = self.ended_life(ledger, face) {
                ends.push((ledger.name(incarnation.name), origin));
            }
        }
        ends.sort_unstable_by_key(|(name, _)| *name);
        ends.into_iter().for_each(|(_, origin)| out(BoardOut::Gone { at: self.at, origin }));
    }

    fn ended_life(&mut self, ledger: &Ledger, face: &Face) -> Option<Origin> {
        let incarnation = ledger.get(face.incarnation);
        let now = Life { origin: incarnation.origin, generation: incarnation.generation, gone: face.left };
        let before = self.lives[incarnation.name as usize];
        // An older generation stands in for a newer one that fell silent, and a newer one never seen alive may be
        // the earlier life, its clock having been ahead: neither ends anything.
        let stands_in = |before: &Life| before.generation > now.generation;
        if before.is_some_and(|b| stands_in(&b) || b.origin != now.origin && !face.alive) {
            return None;
        }
        self.lives[incarnation.name as usize] = Some(now);
        let ended = match before {
            Some(before) if before.origin != now.origin => (!before.gone).then_some(before.origin),
            Some(before) if before.gone => None,
            _ => now.gone.then_some(now.origin),
        };
        ended.filter(|_| incarnation.name != ledger.get(self.own).name)
    }

    fn members(&self, ledger: &Ledger) -> Vec<BoardMember> {
        let member = |face: &Face| {
            let incarnation = ledger.get(face.incarnation);
            BoardMember {
                at: incarnation.at,
                name: ledger.name(incarnation.name).to_owned(),
                origin: incarnation.origin,
                generation: incarnation.generation,
                alive: face.alive,
                left: face.left,
                facts: incarnation.detector_facts(face.version),
            }
        };
        let mut members: Vec<_> = self.faces.iter().map(member).collect();
        members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        members
    }

    fn watch_rivals(
        &mut self,
        now_ms: u64,
        proof_ms: u64,
        ledger: &Ledger,
        (known, seen): (&[u32], &[Seen]),
        out: &mut impl FnMut(BoardOut),
    ) {
        let own = ledger.get(self.own);
        let is_rival = |number: u32| {
            let (incarnation, seen) = (ledger.get(number), &seen[number as usize]);
            let is_newer = incarnation.name == own.name && incarnation.generation > own.generation;
            is_newer && seen.known && seen.alive && seen.version > 0 && !incarnation.has_left(seen.version)
        };
        self.suspects.retain(|suspect| is_rival(suspect.incarnation));
        for &number in known.iter().filter(|number| is_rival(**number)) {
            let heartbeat = seen[number as usize].heartbeat;
            let Some(suspect) = self.suspects.iter_mut().find(|suspect| suspect.incarnation == number) else {
                let fresh = Suspect { incarnation: number, first_seen_ms: now_ms, heartbeat, told: false };
                self.suspects.push(fresh);
                continue;
            };
            let still_rising = heartbeat > suspect.heartbeat;
            suspect.heartbeat = heartbeat;
            if !suspect.told && still_rising && now_ms >= suspect.first_seen_ms + proof_ms {
                suspect.told = true;
                out(BoardOut::Clone { at: self.at });
            }
        }
    }

    /// Keeps live addresses for worse times; whoever said goodbye is forgotten.
    fn remember(&mut self, ledger: &Ledger) {
        self.looks += 1;
        let others = |face: &&Face| ledger.get(face.incarnation).at != self.at;
        let addresses = self.faces.iter().filter(others).map(|face| (face, ledger.get(face.incarnation).at));
        for (face, at) in addresses {
            if at >= self.last_alive.len() {
                self.last_alive.resize(at + 1, 0);
            }
            // Goodbyes first, as in the product: a live member at the same address counts for more.
            if face.left {
                self.last_alive[at] = 0;
            }
        }
        for face in self.faces.iter().filter(|face| face.alive) {
            let at = ledger.get(face.incarnation).at;
            if at != self.at {
                self.last_alive[at] = self.looks;
            }
        }
        self.bound_remembered();
    }

    fn bound_remembered(&mut self) {
        while self.last_alive.len() > REMEMBERED_PEERS
            && self.last_alive.iter().filter(|seen| **seen != 0).count() > REMEMBERED_PEERS
        {
            let remembered = (0..self.last_alive.len()).filter(|at| self.last_alive[*at] != 0);
            if let Some(oldest) = remembered.min_by_key(|at| self.last_alive[*at]) {
                self.last_alive[oldest] = 0;
            }
        }
    }

    /// Addresses of live members but ours, in ascending order.
    pub(super) fn live_addresses(&self, ledger: &Ledger) -> Vec<usize> {
        let alive = self.faces.iter().filter(|face| face.alive);
        let mut live: Vec<_> = alive.map(|face| ledger.get(face.incarnation).at).collect();
        live.retain(|at| *at != self.at);
        live.sort_unstable();
        live.dedup();
        live
    }

    /// Addresses of peers remembered.
    pub(super) fn remembered(&self) -> impl Iterator<Item = usize> {
        self.last_alive.iter().enumerate().filter(|(_, seen)| **seen != 0).map(|(at, _)| at)
    }

    /// What stands under `key` on the board of the member at `of`, as of the last look.
    pub(super) fn read<'a>(&self, ledger: &'a Ledger, of: usize, key: &str) -> Option<&'a str> {
        let face = self.faces.iter().find(|face| ledger.get(face.incarnation).at == of)?;
        ledger.get(face.incarnation).read(face.version, key)
    }
}
