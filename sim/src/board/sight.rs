//! How the product reads the board: from incarnations to members, ends of lives, clones, remembered peers.
//!
//! Rule for rule as `view.rs`, `rivals.rs` and `peers.rs` of the product's discovery, whose judgement of lives
//! (`lives.rs`) it shares.

use sessionmesh::core::causality::Origin;
use sessionmesh::discovery::lives::{Ending, Namesakes, Pulse, Sighting};

use super::detector::Seen;
use super::ledger::Ledger;
use super::{BoardMember, BoardOut};

/// Peers remembered beyond their time on the board.
const REMEMBERED_PEERS: usize = 128;
/// The member behind one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Face {
    incarnation: u32,
    alive: bool,
    left: bool,
    /// What was known of it when it was looked at.
    version: u32,
}

/// Another incarnation under our own name, newer than we are.
#[derive(Clone, Debug)]
struct Suspect {
    incarnation: u32,
    pulse: Pulse,
    told: bool,
}

/// One process's reading of the board.
#[derive(Debug)]
pub(super) struct Sight {
    at: usize,
    own: u32,
    /// In order of the names' numbers.
    faces: Vec<Face>,
    /// By name.
    lives: Vec<Namesakes>,
    suspects: Vec<Suspect>,
    /// When each address was last seen alive, in looks; 0 for never.
    last_alive: Vec<u64>,
    looks: u64,
    /// The known incarnations by name, and the sightings of one name: reused from look to look.
    by_name: Vec<Vec<u32>>,
    sightings: Vec<Sighting>,
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
            by_name: Vec::new(),
            sightings: Vec::new(),
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
        let times = (now_ms, interval_ms);
        let faces = self.condense(times, ledger, (known, seen), out);
        let facts = |face: &Face| ledger.get(face.incarnation).facts_upto(face.version);
        let seems = |face: &Face| (face.incarnation, face.alive, face.left, facts(face));
        let changed = !faces.iter().map(seems).eq(self.faces.iter().map(seems));
        self.faces = faces;
        if changed {
            out(BoardOut::Members { at: self.at, members: self.members(ledger) });
        }
        self.watch_rivals(times, ledger, (known, seen), out);
        self.remember(ledger);
    }

    /// The incarnation that stands for each name, never one without an origin; tells the lives that are over.
    fn condense(
        &mut self,
        times: (u64, u64),
        ledger: &Ledger,
        (known, seen): (&[u32], &[Seen]),
        out: &mut impl FnMut(BoardOut),
    ) -> Vec<Face> {
        self.lives.resize_with(ledger.names(), Namesakes::default);
        self.by_name.resize_with(ledger.names(), Vec::new);
        self.by_name.iter_mut().for_each(Vec::clear);
        for &incarnation in known.iter().filter(|known| seen[**known as usize].version > 0) {
            self.by_name[ledger.get(incarnation).name as usize].push(incarnation);
        }
        let (mut faces, mut ends) = (Vec::new(), Vec::new());
        for name in 0..self.by_name.len() {
            let Some(chosen) = self.look_at(times, ledger, seen, name, &mut ends) else { continue };
            let incarnation = self.by_name[name][chosen];
            let Seen { alive, version, .. } = seen[incarnation as usize];
            let left = ledger.get(incarnation).has_left(version);
            faces.push(Face { incarnation, alive: alive && !left, left, version });
        }
        ends.sort_by_key(|(name, _)| ledger.name(*name as u32));
        ends.into_iter().for_each(|(_, origin)| out(BoardOut::Gone { at: self.at, origin }));
        faces
    }

    /// Takes in all sightings of one name; which of its known incarnations stands for it.
    fn look_at(
        &mut self,
        (now_ms, interval_ms): (u64, u64),
        ledger: &Ledger,
        seen: &[Seen],
        name: usize,
        ends: &mut Vec<(usize, Origin)>,
    ) -> Option<usize> {
        let sighting = |number: &u32| {
            let (incarnation, seen) = (ledger.get(*number), &seen[*number as usize]);
            Sighting {
                origin: incarnation.origin,
                generation: incarnation.generation,
                heartbeat: seen.heartbeat.into(),
                live: seen.alive,
                left: incarnation.has_left(seen.version),
            }
        };
        self.sightings.clear();
        self.sightings.extend(self.by_name[name].iter().map(sighting));
        if self.sightings.is_empty() {
            return None;
        }
        let mut ended = Vec::new();
        let chosen = self.lives[name].look(now_ms, interval_ms, &self.sightings, &mut ended);
        let own = ledger.get(self.own);
        let is_news = |(origin, how): &(Origin, Ending)| {
            name != own.name as usize || *how == Ending::Left && *origin != own.origin
        };
        ends.extend(ended.into_iter().filter(is_news).map(|(origin, _)| (name, origin)));
        chosen
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
        (now_ms, interval_ms): (u64, u64),
        ledger: &Ledger,
        (known, seen): (&[u32], &[Seen]),
        out: &mut impl FnMut(BoardOut),
    ) {
        let own = ledger.get(self.own);
        let is_rival = |number: u32| {
            let (incarnation, seen) = (ledger.get(number), &seen[number as usize]);
            let id = (incarnation.generation, incarnation.origin);
            let is_newer = incarnation.name == own.name && id > (own.generation, own.origin);
            is_newer && seen.known && seen.alive && seen.version > 0 && !incarnation.has_left(seen.version)
        };
        self.suspects.retain(|suspect| is_rival(suspect.incarnation));
        for &number in known.iter().filter(|number| is_rival(**number)) {
            let value = (ledger.get(number).generation, u64::from(seen[number as usize].heartbeat));
            let Some(suspect) = self.suspects.iter_mut().find(|suspect| suspect.incarnation == number) else {
                let pulse = Pulse::new(now_ms, value);
                self.suspects.push(Suspect { incarnation: number, pulse, told: false });
                continue;
            };
            suspect.pulse.hear(now_ms, interval_ms, value);
            if !suspect.told && suspect.pulse.is_proven(now_ms, interval_ms) {
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
