//! What every member holds about every other, and since when: the one place where verdicts are counted.

use super::system::Verdict;

/// What happened to one member in the eyes of the others since [`View::watch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When anybody first suspected it or declared it dead.
    pub suspect_ms: Option<u64>,
    /// When anybody first declared it dead.
    pub dead_ms: Option<u64>,
    /// When every living member held it dead at once, for the first time.
    pub all_dead_ms: Option<u64>,
    /// Episodes of death: one begins when the first living member declares it dead, and ends when none holds it
    /// dead any more.
    pub episodes: u64,
    /// Verdicts of death: one for each member that declares it dead, and again if it does so again.
    pub verdicts: u64,
}

/// The matrix of verdicts.
pub struct View {
    members: usize,
    /// By observer, then by subject; nothing is known before the first verdict.
    held: Vec<Option<Verdict>>,
    living: Vec<bool>,
    living_count: usize,
    /// How many living members hold each one dead.
    dead_by: Vec<usize>,
    /// Pairs of living members of which the one does not hold the other alive or suspect.
    missing: usize,
    /// That number over time (ms), until when it was added up.
    missing_ms: u64,
    added_ms: u64,
    seen: Vec<Seen>,
    /// By observer, then by subject: whether it was declared dead since all were watched.
    declared: Vec<bool>,
}

impl View {
    /// Nobody knows anybody.
    pub fn new(members: usize) -> Self {
        Self {
            members,
            held: vec![None; members * members],
            living: vec![true; members],
            living_count: members,
            dead_by: vec![0; members],
            missing: members * members.saturating_sub(1),
            missing_ms: 0,
            added_ms: 0,
            seen: vec![Seen::default(); members],
            declared: vec![false; members * members],
        }
    }

    /// Takes in a verdict.
    pub fn take(&mut self, now_ms: u64, by: usize, about: usize, verdict: Verdict) {
        if by == about || !self.living[by] {
            return;
        }
        let held = self.held[by * self.members + about];
        if verdict == Verdict::Suspect {
            self.seen[about].suspect_ms.get_or_insert(now_ms);
            // Whoever is no member any more is not suspected.
            if held == Some(Verdict::Dead) {
                return;
            }
        }
        self.missing_ms = self.missing_ms(now_ms);
        self.added_ms = now_ms;
        self.hold(by, about, Some(verdict));
        if verdict == Verdict::Dead && held != Some(Verdict::Dead) {
            self.declared[by * self.members + about] = true;
            self.died(now_ms, about);
        }
    }

    fn hold(&mut self, by: usize, about: usize, verdict: Option<Verdict>) {
        let place = &mut self.held[by * self.members + about];
        let before = std::mem::replace(place, verdict);
        let dead = |held| held == Some(Verdict::Dead);
        self.dead_by[about] += usize::from(dead(verdict));
        self.dead_by[about] -= usize::from(dead(before));
        if self.living[by] && self.living[about] {
            self.missing += usize::from(is_missing(verdict));
            self.missing -= usize::from(is_missing(before));
        }
    }

    fn died(&mut self, now_ms: u64, about: usize) {
        let everybody = self.living_count - usize::from(self.living[about]);
        let seen = &mut self.seen[about];
        seen.verdicts += 1;
        seen.episodes += u64::from(self.dead_by[about] == 1);
        seen.suspect_ms.get_or_insert(now_ms);
        seen.dead_ms.get_or_insert(now_ms);
        if self.dead_by[about] == everybody {
            seen.all_dead_ms.get_or_insert(now_ms);
        }
    }

    /// A member is gone: what it held counts no more, and it is watched from now on.
    pub fn kill(&mut self, now_ms: u64, at: usize) {
        for other in 0..self.members {
            let (by, about) = (self.held[at * self.members + other], self.held[other * self.members + at]);
            if other != at && self.living[other] && self.living[at] {
                self.missing -= usize::from(is_missing(by)) + usize::from(is_missing(about));
            }
        }
        self.living_count -= usize::from(std::mem::replace(&mut self.living[at], false));
        (0..self.members).for_each(|about| self.hold(at, about, None));
        self.watch(at);
        if self.dead_by[at] == self.living_count {
            // It was held dead by all before it died.
            self.seen[at] = Seen { dead_ms: Some(now_ms), all_dead_ms: Some(now_ms), ..self.seen[at] };
        }
    }

    /// Forgets what happened to a member until now.
    pub fn watch(&mut self, about: usize) {
        self.seen[about] = Seen::default();
    }

    /// Forgets what happened to anybody until now.
    pub fn watch_all(&mut self) {
        self.seen.fill(Seen::default());
        self.declared.fill(false);
    }

    /// Whether one of `by` has declared this member dead since all were watched.
    pub fn was_declared(&self, by: &[usize], about: usize) -> bool {
        by.iter().any(|by| self.declared[by * self.members + about])
    }

    /// What happened to a member since it was watched.
    pub fn seen(&self, about: usize) -> Seen {
        self.seen[about]
    }

    /// For how long living members were not held for such by others, over all pairs (ms). Deaths in between make it
    /// worthless.
    pub fn missing_ms(&self, now_ms: u64) -> u64 {
        self.missing_ms + self.missing as u64 * (now_ms - self.added_ms)
    }

    /// Whether every living member holds every other for one.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Whether one holds the other dead.
    pub fn holds_dead(&self, by: usize, about: usize) -> bool {
        self.held[by * self.members + about] == Some(Verdict::Dead)
    }

    /// Whether anybody holds this one dead.
    pub fn is_held_dead(&self, about: usize) -> bool {
        self.dead_by[about] > 0
    }

    /// Those that live.
    pub fn living(&self) -> impl Iterator<Item = usize> {
        (0..self.members).filter(|at| self.living[*at])
    }
}

fn is_missing(held: Option<Verdict>) -> bool {
    matches!(held, None | Some(Verdict::Dead))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody holds everybody alive.
    fn full(members: usize) -> View {
        let mut view = View::new(members);
        assert!(!view.is_complete());
        for by in 0..members {
            (0..members).for_each(|about| view.take(0, by, about, Verdict::Alive));
        }
        assert!(view.is_complete());
        view
    }

    #[test]
    fn a_death_is_seen_by_the_first_and_by_all() {
        let mut view = full(3);
        view.kill(10, 2);
        assert!(view.is_complete());
        view.take(20, 1, 2, Verdict::Suspect);
        view.take(30, 1, 2, Verdict::Dead);
        view.take(40, 2, 1, Verdict::Dead);
        assert_eq!(view.seen(1), Seen::default(), "the dead do not speak");
        view.take(50, 0, 2, Verdict::Dead);
        let seen = view.seen(2);
        assert_eq!((seen.suspect_ms, seen.dead_ms, seen.all_dead_ms), (Some(20), Some(30), Some(50)));
    }

    #[test]
    fn an_episode_lasts_until_nobody_holds_it_dead() {
        let mut view = full(4);
        view.take(1, 0, 3, Verdict::Dead);
        view.take(2, 1, 3, Verdict::Dead);
        view.take(3, 0, 3, Verdict::Alive);
        view.take(4, 0, 3, Verdict::Dead);
        assert_eq!((view.seen(3).episodes, view.seen(3).verdicts), (1, 3));
        assert!(!view.is_complete() && view.is_held_dead(3));
        view.take(5, 0, 3, Verdict::Alive);
        view.take(6, 1, 3, Verdict::Alive);
        assert!(view.is_complete() && !view.is_held_dead(3));
        view.take(7, 2, 3, Verdict::Dead);
        assert_eq!((view.seen(3).episodes, view.seen(3).verdicts), (2, 4));
        assert_eq!(view.seen(3).all_dead_ms, None);
        // One pair from 1 on, two from 2 to 3 and 4 to 5, and so on.
        assert_eq!(view.missing_ms(10), 1 + 2 + 1 + 2 + 1 + 3);
    }

    #[test]
    fn the_verdicts_of_the_killed_count_no_more() {
        let mut view = full(3);
        view.take(1, 0, 1, Verdict::Dead);
        view.kill(2, 0);
        assert!(view.is_complete() && !view.is_held_dead(1));
    }
}
