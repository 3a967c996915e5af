//! foca (SWIM) under the arena's clock: one instance a process, a virtual scheduler for all their timers.
//!
//! Set up as its own example does: `Config::new_lan` for the real number of members, the postcard codec, an
//! identity of address and start time that renews itself, so that a member declared dead comes back at once. Timers
//! of one moment fire in the order that foca's `Ord` asks for.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use foca::{Config, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime, Timer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::system::{Output, System, Verdict};
use crate::clock::EPOCH_MS;
use crate::draw::Draw;

/// The address of the first process, 10.0.0.1, as a number.
const FIRST_IP: u32 = 0x0a00_0001;
const PORT: u16 = 7_946;

/// Who a member is: where it is, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    addr: SocketAddrV4,
    /// Seconds since 1970, one more with every renewal.
    started_s: u64,
}

impl Id {
    fn of(at: usize) -> Self {
        let addr = SocketAddrV4::new(Ipv4Addr::from(FIRST_IP + at as u32), PORT);
        Self { addr, started_s: EPOCH_MS / 1_000 }
    }

    fn at(&self) -> usize {
        (u32::from(*self.addr.ip()) - FIRST_IP) as usize
    }
}

impl Identity for Id {
    type Addr = SocketAddrV4;

    fn renew(&self) -> Option<Self> {
        Some(Self { addr: self.addr, started_s: self.started_s + 1 })
    }

    fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.started_s > adversary.started_s
    }
}

type Instance = foca::Foca<Id, PostcardCodec, StdRng, NoCustomBroadcast>;

/// A timer's place in the order of firing: when, foca's own order within a moment, and the order of asking.
type Due = (u64, u8, u64);

/// What foca asks for, on its way out.
#[derive(Default)]
struct Effects {
    now_ms: u64,
    /// Whose effects.
    at: usize,
    out: VecDeque<Output>,
    timers: BTreeMap<Due, (usize, Timer<Id>)>,
    asked: u64,
}

impl Effects {
    fn tell(&mut self, about: &Id, verdict: Verdict) {
        self.out.push_back(Output::Verdict { by: self.at, about: about.at(), verdict });
    }
}

impl Runtime<Id> for Effects {
    fn notify(&mut self, notification: Notification<'_, Id>) {
        match notification {
            Notification::MemberUp(id) => self.tell(id, Verdict::Alive),
            Notification::MemberDown(id) => self.tell(id, Verdict::Dead),
            // The prober is always the first to suspect; whoever is told of it learns no sooner.
            Notification::ProbeFailed(_, id) => self.tell(id, Verdict::Suspect),
            _ => {}
        }
    }

    fn send_to(&mut self, to: Id, data: &[u8]) {
        let bytes = Bytes::copy_from_slice(data);
        self.out.push_back(Output::Send { from: self.at, to: to.at(), bytes, reliable: false });
    }

    fn submit_after(&mut self, event: Timer<Id>, after: Duration) {
        self.asked += 1;
        let due_ms = self.now_ms + after.as_millis() as u64;
        self.timers.insert((due_ms, rank(&event), self.asked), (self.at, event));
    }
}

/// foca's order of timers that are due at once, which it keeps to itself.
fn rank(timer: &Timer<Id>) -> u8 {
    match timer {
        Timer::SendIndirectProbe { .. } => 0,
        Timer::ProbeRandomMember(_) => 1,
        Timer::ChangeSuspectToDown { .. } => 2,
        Timer::PeriodicAnnounce(_) => 3,
        Timer::PeriodicGossip(_) => 4,
        Timer::RemoveDown(_) => 5,
        Timer::PeriodicAnnounceDown(_) => 6,
    }
}

/// All processes of a world.
pub struct Foca {
    draw: Draw,
    members: usize,
    running: Vec<Option<Instance>>,
    frozen: Vec<bool>,
    /// Timers that came due for a frozen process.
    held: Vec<Vec<Timer<Id>>>,
    effects: Effects,
}

impl Foca {
    /// None of these many processes is started.
    pub fn new(members: usize, draw: Draw) -> Self {
        Self {
            draw,
            members,
            running: (0..members).map(|_| None).collect(),
            frozen: vec![false; members],
            held: vec![Vec::new(); members],
            effects: Effects::default(),
        }
    }

    fn with(
        &mut self,
        now_ms: u64,
        at: usize,
        act: impl FnOnce(&mut Instance, &mut Effects) -> Result<(), foca::Error>,
    ) {
        (self.effects.now_ms, self.effects.at) = (now_ms, at);
        if let Some(instance) = &mut self.running[at] {
            // An error is a packet or a timer that came too late to mean anything; foca goes on, so do its users.
            let _ = act(instance, &mut self.effects);
        }
    }
}

impl System for Foca {
    fn start(&mut self, now_ms: u64, at: usize) {
        let size = NonZeroU32::new(self.members as u32).unwrap_or(NonZeroU32::MIN);
        let rng = StdRng::seed_from_u64(self.draw.at(at as u64));
        self.running[at] = Some(Instance::new(Id::of(at), Config::new_lan(size), rng, PostcardCodec));
        let others: Vec<_> = (0..self.members).filter(|other| *other != at).map(Id::of).collect();
        // Not to be broadcast: everybody is told.
        self.with(now_ms, at, |foca, effects| {
            foca.apply_many(others.into_iter().map(Member::alive), false, effects)
        });
    }

    fn stop(&mut self, _now_ms: u64, at: usize) {
        self.running[at] = None;
    }

    fn freeze(&mut self, now_ms: u64, at: usize, frozen: bool) {
        self.frozen[at] = frozen;
        if !frozen {
            for timer in std::mem::take(&mut self.held[at]) {
                self.with(now_ms, at, |foca, effects| foca.handle_timer(timer, effects));
            }
        }
    }

    fn deliver(&mut self, now_ms: u64, _from: usize, to: usize, bytes: Bytes, _reliable: bool) {
        self.with(now_ms, to, |foca, effects| foca.handle_data(&bytes, effects));
    }

    fn wake(&mut self, now_ms: u64) {
        while let Some(entry) = self.effects.timers.first_entry().filter(|entry| entry.key().0 <= now_ms) {
            let (at, timer) = entry.remove();
            if self.frozen[at] {
                self.held[at].push(timer);
            } else {
                self.with(now_ms, at, |foca, effects| foca.handle_timer(timer, effects));
            }
        }
    }

    fn next_wake_ms(&self) -> Option<u64> {
        self.effects.timers.first_key_value().map(|(due, _)| due.0)
    }

    fn poll(&mut self) -> Option<Output> {
        self.effects.out.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::network::{Network, Weather};
    use crate::compare::view::View;
    use crate::queue::Queue;

    /// Foca tells changes only. What the view made of them must be what foca itself lists, whatever happened.
    #[test]
    fn what_is_told_is_what_foca_lists() {
        let n = 12;
        let (mut foca, mut view) = (Foca::new(n, Draw::new(1)), View::new(n));
        let mut network = Network::new(n, Weather::lan(300), Draw::new(2));
        let mut queue = Queue::default();
        (0..n).for_each(|at| foca.start(0, at));
        for now_ms in 1..200_000 {
            while let Some((_, (from, to, bytes))) = queue.pop(now_ms) {
                foca.deliver(now_ms, from, to, bytes, false);
            }
            foca.wake(now_ms);
            while let Some(output) = foca.poll() {
                match output {
                    Output::Verdict { by, about, verdict } => view.take(now_ms, by, about, verdict),
                    Output::Send { from, to, bytes, .. } => {
                        if let Some(delay_ms) = network.carry(from, to, bytes.len()) {
                            queue.push(now_ms + delay_ms, (from, to, bytes));
                        }
                    }
                }
            }
        }
        let mut dead = 0;
        for (by, instance) in foca.running.iter().enumerate() {
            let members = instance.iter().flat_map(|instance| instance.iter_members());
            let listed: Vec<usize> = members.map(|member| member.id().at()).collect();
            for about in (0..n).filter(|about| *about != by) {
                assert_eq!(view.holds_dead(by, about), !listed.contains(&about), "{by} of {about}");
                dead += usize::from(view.holds_dead(by, about));
            }
        }
        assert!(dead > 0, "nothing happened");
    }
}
