//! The lives seen under one name: which of them stands for it, and which are over.
//!
//! Generations come from the wall clock, which may be wrong, so they prove nothing: a process that restarts after its
//! clock was set right has the *lower* one, and its dead predecessor is echoed by peers that lag behind each other. What
//! proves a life is its own heart: only the process itself raises its heartbeat, round after round. A life is over when
//! it said goodbye, or when another life of its name was heard to beat in five separate rounds since it was heard last.
//! Until then a greater generation is no more than a guess about whom to show.
//!
//! Pure: the simulator's model of the board uses it too.

use crate::core::causality::Origin;

/// Separate rounds in which a heartbeat must rise to prove a life.
///
/// Echoes of a dead one make it seem to rise until all peers have its last value: two or three rounds.
pub const PROOF_ROUNDS: usize = 5;
/// Rises further back than this many rounds prove nothing any more: each heal of a cut may bring one more echo.
const WINDOW_ROUNDS: u64 = 20;
/// Rounds of rising, the other one silent, after which another life is *shown* for a name. A view can be taken back.
const SHOWN_ROUNDS: usize = 2;
/// Lives remembered of one name. A crash loop of one a second, each too short to be proven, fills it in a minute, and
/// chitchat's own ceiling of 400 incarnations soon after.
const LIVES: usize = 64;

/// What was heard of one heart, and when.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// Generation and heartbeat: one life's later gossip server begins its count afresh under a greater generation.
    value: (u64, u64),
    /// When it was first seen or last rose.
    last_ms: u64,
    /// The last rises, one a round at most, oldest first.
    counted_ms: [u64; PROOF_ROUNDS],
    count: usize,
}

impl Pulse {
    /// A heart first heard of `now_ms`. That proves nothing: it may be an echo.
    pub fn new(now_ms: u64, value: (u64, u64)) -> Self {
        Self { value, last_ms: now_ms, counted_ms: [0; PROOF_ROUNDS], count: 0 }
    }

    /// It was heard again.
    pub fn hear(&mut self, now_ms: u64, round_ms: u64, value: (u64, u64)) {
        if value <= self.value {
            return;
        }
        self.value = value;
        self.last_ms = now_ms;
        // A little less than a round: looks are not exactly a round apart.
        let newest = self.count.checked_sub(1).map(|last| self.counted_ms[last]);
        if newest.is_some_and(|newest| now_ms < newest + round_ms * 3 / 4) {
            return;
        }
        if self.count == PROOF_ROUNDS {
            self.counted_ms.rotate_left(1);
        } else {
            self.count += 1;
        }
        self.counted_ms[self.count - 1] = now_ms;
    }

    /// In how many separate rounds, five at most, it rose after `since_ms` and lately.
    pub fn rounds_since(&self, since_ms: u64, now_ms: u64, round_ms: u64) -> usize {
        let lately_ms = now_ms.saturating_sub(WINDOW_ROUNDS * round_ms);
        let since_ms = since_ms.max(lately_ms);
        self.counted_ms[..self.count].iter().filter(|at| **at > since_ms).count()
    }

    /// Whether it lives, whatever was believed before: it rose in five rounds lately.
    pub fn is_proven(&self, now_ms: u64, round_ms: u64) -> bool {
        self.rounds_since(0, now_ms, round_ms) == PROOF_ROUNDS
    }

    fn outlives(&self, other: &Self, now_ms: u64, round_ms: u64) -> bool {
        self.rounds_since(other.last_ms, now_ms, round_ms) == PROOF_ROUNDS
    }
}

/// One incarnation of the name, as the gossip server tells of it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The life of its memory.
    pub origin: Origin,
    /// Its generation.
    pub generation: u64,
    /// Its heartbeat.
    pub heartbeat: u64,
    /// The gossip server's verdict.
    pub live: bool,
    /// It said goodbye.
    pub left: bool,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It said goodbye.
    Left,
    /// Another life of its name lives, and it does not.
    Superseded,
}

#[derive(Debug, Clone)]
struct Life {
    origin: Origin,
    pulse: Pulse,
    ended: Option<Ending>,
}

/// All lives seen under one name.
#[derive(Debug, Clone, Default)]
pub struct Namesakes {
    /// In the order they were first seen. They survive the incarnations: a node that returns after the grace still
    /// ends its previous life.
    lives: Vec<Life>,
    /// Who stood for the name at the last look.
    shown: Option<Origin>,
}

impl Namesakes {
    /// Takes in every known incarnation of the name. Returns the one that stands for it, and adds the lives that are
    /// over by this to `ended`, each once.
    pub fn look(
        &mut self,
        now_ms: u64,
        round_ms: u64,
        seen: &[Sighting],
        ended: &mut Vec<(Origin, Ending)>,
    ) -> Option<usize> {
        for sighting in seen {
            self.hear(now_ms, round_ms, sighting, ended);
        }
        if self.lives.len() > 1 {
            self.supersede(now_ms, round_ms, seen, ended);
            self.bound(seen);
        }
        let chosen = self.choose(now_ms, round_ms, seen);
        self.shown = chosen.map(|index| seen[index].origin);
        chosen
    }

    /// Whether this life of the name is known to be over.
    pub fn is_over(&self, origin: Origin) -> bool {
        self.life(origin).is_some_and(|life| life.ended.is_some())
    }

    fn life(&self, origin: Origin) -> Option<&Life> {
        self.lives.iter().find(|life| life.origin == origin)
    }

    fn hear(&mut self, now_ms: u64, round_ms: u64, sighting: &Sighting, ended: &mut Vec<(Origin, Ending)>) {
        let value = (sighting.generation, sighting.heartbeat);
        let index = self.lives.iter().position(|life| life.origin == sighting.origin);
        let index = index.unwrap_or_else(|| {
            let pulse = Pulse::new(now_ms, value);
            self.lives.push(Life { origin: sighting.origin, pulse, ended: None });
            self.lives.len() - 1
        });
        let life = &mut self.lives[index];
        life.pulse.hear(now_ms, round_ms, value);
        // A goodbye is the life's own word: it counts whoever else is listed.
        if sighting.left && life.ended != Some(Ending::Left) {
            if life.ended.is_none() {
                ended.push((life.origin, Ending::Left));
            }
            life.ended = Some(Ending::Left);
        }
    }

    fn supersede(
        &mut self,
        now_ms: u64,
        round_ms: u64,
        seen: &[Sighting],
        ended: &mut Vec<(Origin, Ending)>,
    ) {
        for living in seen.iter().filter(|sighting| sighting.live) {
            let Some(life) = self.life(living.origin).filter(|life| life.ended.is_none()) else { continue };
            let pulse = life.pulse.clone();
            let others = self.lives.iter_mut().filter(|l| l.origin != living.origin && l.ended.is_none());
            let is_over = |other: &&mut Life| {
                pulse.outlives(&other.pulse, now_ms, round_ms)
                    || mutant!(LivesByGeneration) && pulse.value.0 > other.pulse.value.0
            };
            for other in others.filter(is_over) {
                other.ended = Some(Ending::Superseded);
                ended.push((other.origin, Ending::Superseded));
            }
        }
    }

    /// How well an incarnation can stand for the name; `None`: not at all.
    fn fitness(&self, sighting: &Sighting) -> Option<u8> {
        let ended = self.life(sighting.origin).and_then(|life| life.ended);
        match (ended, sighting.live) {
            (None, true) => Some(3),
            // The process that had taken its name is gone, and it is still there.
            (Some(Ending::Superseded), true) => Some(2),
            (None, false) => Some(1),
            (Some(Ending::Left), _) => Some(0),
            (Some(Ending::Superseded), false) => None,
        }
    }

    /// Of the fittest the one shown before, else the greatest generation: unless another is heard and it is not.
    fn choose(&self, now_ms: u64, round_ms: u64, seen: &[Sighting]) -> Option<usize> {
        if let [only] = seen {
            return self.fitness(only).map(|_| 0);
        }
        let best = seen.iter().filter_map(|sighting| self.fitness(sighting)).max()?;
        let fittest = || (0..seen.len()).filter(|index| self.fitness(&seen[*index]) == Some(best));
        let rank = |index: &usize| (Some(seen[*index].origin) == self.shown, seen[*index].generation);
        let first = fittest().max_by_key(rank)?;
        let last_ms = self.life(seen[first].origin)?.pulse.last_ms;
        let is_heard = |index: &usize| {
            let life = self.life(seen[*index].origin);
            life.is_some_and(|life| life.pulse.rounds_since(last_ms, now_ms, round_ms) >= SHOWN_ROUNDS)
        };
        fittest().filter(is_heard).max_by_key(|index| seen[*index].generation).or(Some(first))
    }

    /// Forgets what is listed no more, the ended first, then the oldest.
    fn bound(&mut self, seen: &[Sighting]) {
        while self.lives.len() > LIVES {
            let absent = |life: &Life| seen.iter().all(|sighting| sighting.origin != life.origin);
            let ended = self.lives.iter().position(|life| life.ended.is_some() && absent(life));
            let Some(index) = ended.or_else(|| self.lives.iter().position(absent)) else { return };
            self.lives.remove(index);
        }
    }
}

#[cfg(test)]
#[path = "lives_tests.rs"]
mod tests;
