//! One world: the processes of one system on one network, and what is done to them.

use bytes::Bytes;

use super::network::{GIVE_UP_AFTER_MS, Network, RESEND_AFTER_MS, Weather};
use super::system::{Kind, Output, System};
use super::transfer::Transfers;
use super::view::View;
use crate::draw::Draw;
use crate::queue::Queue;

/// Processes start within this time (ms), so that their rounds are out of step as in the field.
const START_WITHIN_MS: u64 = 1_000;

/// What will happen.
enum Event {
    Start(usize),
    /// A copy of a packet arrives; of a reliable one with its number.
    Arrive {
        from: usize,
        to: usize,
        bytes: Bytes,
        transfer: Option<u64>,
    },
    /// A reliable packet is sent again, unless it has arrived.
    Resend(u64),
}

/// One process, as the arena knows it.
#[derive(Default)]
struct Process {
    running: bool,
    frozen: bool,
    /// What arrived although it is frozen.
    held: Vec<(usize, Bytes, Option<u64>)>,
}

/// One world in virtual time.
pub struct Arena {
    /// The virtual time (ms).
    pub now_ms: u64,
    /// The links.
    pub network: Network,
    /// Who holds what about whom.
    pub view: View,
    /// Chance for whoever does something to this world.
    pub draw: Draw,
    system: Box<dyn System>,
    processes: Vec<Process>,
    transfers: Transfers,
    queue: Queue<Event>,
}

impl Arena {
    /// A world of this many processes, which start within a second and know each other.
    pub fn new(kind: Kind, members: usize, weather: Weather, seed: u64) -> Self {
        let draw = Draw::new(seed).of("compare");
        Self::with_system(kind.build(members, draw.of(kind.name())), members, weather, draw)
    }

    /// The same of any system.
    pub fn with_system(system: Box<dyn System>, members: usize, weather: Weather, draw: Draw) -> Self {
        let mut queue = Queue::default();
        let starts = draw.of("start");
        (0..members).for_each(|at| queue.push(starts.at(at as u64) % START_WITHIN_MS, Event::Start(at)));
        Self {
            now_ms: 0,
            network: Network::new(members, weather, draw.of("network")),
            view: View::new(members),
            draw: draw.of("acts"),
            system,
            processes: (0..members).map(|_| Process::default()).collect(),
            transfers: Transfers::default(),
            queue,
        }
    }

    /// How many processes there are, dead ones included.
    pub fn members(&self) -> usize {
        self.processes.len()
    }

    /// Lets this much virtual time pass.
    pub fn run(&mut self, for_ms: u64) {
        self.run_until(for_ms, |_| false);
    }

    /// Lets virtual time pass until something is true of the view, at most this long; tells whether it came true.
    pub fn run_until(&mut self, at_most_ms: u64, reached: impl Fn(&View) -> bool) -> bool {
        let until_ms = self.now_ms + at_most_ms;
        while !reached(&self.view) {
            if !self.step(until_ms) {
                return reached(&self.view);
            }
        }
        true
    }

    /// The next thing happens, if anything does by `until_ms`. A packet goes before a timer of its millisecond.
    fn step(&mut self, until_ms: u64) -> bool {
        let wake_ms = self.system.next_wake_ms().filter(|&wake_ms| wake_ms <= until_ms);
        match self.queue.pop(wake_ms.unwrap_or(until_ms)) {
            Some((at_ms, event)) => {
                self.now_ms = at_ms;
                self.happen(event);
            }
            None => {
                self.now_ms = self.now_ms.max(wake_ms.unwrap_or(until_ms));
                if wake_ms.is_none() {
                    return false;
                }
                self.system.wake(self.now_ms);
            }
        }
        self.collect();
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(at) => {
                self.processes[at].running = true;
                self.system.start(self.now_ms, at);
            }
            Event::Arrive { from, to, bytes, transfer } => self.arrive(from, to, bytes, transfer),
            Event::Resend(transfer) => self.resend(transfer),
        }
    }

    fn arrive(&mut self, from: usize, to: usize, bytes: Bytes, transfer: Option<u64>) {
        let process = &mut self.processes[to];
        if process.frozen {
            process.held.push((from, bytes, transfer));
        } else if process.running && transfer.is_none_or(|number| self.transfers.arrived(number)) {
            self.system.deliver(self.now_ms, from, to, bytes, transfer.is_some());
        }
    }

    fn resend(&mut self, number: u64) {
        let Some(transfer) = self.transfers.get(number) else { return };
        let age_ms = self.now_ms - transfer.sent_ms;
        if age_ms >= GIVE_UP_AFTER_MS || !self.processes[transfer.from].running {
            self.transfers.arrived(number);
            return;
        }
        // A frozen process sends nothing; its timer waits.
        if self.processes[transfer.from].frozen {
            self.queue.push(self.now_ms + RESEND_AFTER_MS, Event::Resend(number));
            return;
        }
        let (from, to, bytes) = (transfer.from, transfer.to, transfer.bytes.clone());
        // Copies left at the ages 0, 30, 90, 210, ...: the next is due when the gap has doubled.
        self.queue.push(self.now_ms + age_ms + RESEND_AFTER_MS, Event::Resend(number));
        self.carry(from, to, bytes, Some(number));
    }

    fn carry(&mut self, from: usize, to: usize, bytes: Bytes, transfer: Option<u64>) {
        if let Some(delay_ms) = self.network.carry(from, to, bytes.len()) {
            self.queue.push(self.now_ms + delay_ms, Event::Arrive { from, to, bytes, transfer });
        }
    }

    /// Does what the system wants done.
    fn collect(&mut self) {
        while let Some(output) = self.system.poll() {
            match output {
                Output::Verdict { by, about, verdict } => self.view.take(self.now_ms, by, about, verdict),
                Output::Send { from, to, bytes, reliable: false } => self.carry(from, to, bytes, None),
                Output::Send { from, to, bytes, reliable: true } => {
                    let number = self.transfers.begin(self.now_ms, from, to, bytes.clone());
                    self.queue.push(self.now_ms + RESEND_AFTER_MS, Event::Resend(number));
                    self.carry(from, to, bytes, Some(number));
                }
            }
        }
    }

    /// A process dies without a word.
    pub fn kill(&mut self, at: usize) {
        self.processes[at].running = false;
        self.system.stop(self.now_ms, at);
        self.view.kill(self.now_ms, at);
        self.collect();
    }

    /// A process stands still: its packets and timers wait.
    pub fn freeze(&mut self, at: usize) {
        self.processes[at].frozen = true;
        self.system.freeze(self.now_ms, at, true);
        self.collect();
    }

    /// A process goes on: first its overdue timers fire, then its packets arrive, all at this moment.
    pub fn thaw(&mut self, at: usize) {
        self.processes[at].frozen = false;
        self.system.freeze(self.now_ms, at, false);
        self.collect();
        for (from, bytes, transfer) in std::mem::take(&mut self.processes[at].held) {
            self.arrive(from, at, bytes, transfer);
            self.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Process 0 sends one reliable packet to process 1 as it starts; times of arrival are noted.
    struct Script {
        out: Option<Output>,
        arrived_ms: Rc<RefCell<Vec<u64>>>,
    }

    impl System for Script {
        fn start(&mut self, _now_ms: u64, at: usize) {
            let bytes = Bytes::from_static(&[7; 50]);
            self.out = (at == 0).then_some(Output::Send { from: 0, to: 1, bytes, reliable: true });
        }

        fn stop(&mut self, _now_ms: u64, _at: usize) {}

        fn freeze(&mut self, _now_ms: u64, _at: usize, _frozen: bool) {}

        fn deliver(&mut self, now_ms: u64, from: usize, to: usize, bytes: Bytes, reliable: bool) {
            assert_eq!((from, to, bytes.len(), reliable), (0, 1, 50, true));
            self.arrived_ms.borrow_mut().push(now_ms);
        }

        fn wake(&mut self, _now_ms: u64) {}

        fn next_wake_ms(&self) -> Option<u64> {
            None
        }

        fn poll(&mut self) -> Option<Output> {
            self.out.take()
        }
    }

    /// The world, and the times of arrival.
    fn arena(loss_per_mille: u64) -> (Arena, Rc<RefCell<Vec<u64>>>) {
        let arrived_ms = Rc::default();
        let script = Script { out: None, arrived_ms: Rc::clone(&arrived_ms) };
        (Arena::with_system(Box::new(script), 2, Weather::lan(loss_per_mille), Draw::new(3)), arrived_ms)
    }

    #[test]
    fn a_reliable_packet_arrives_once() {
        let (mut arena, arrived_ms) = arena(0);
        arena.run(10_000);
        assert_eq!((arena.network.traffic.packets, arrived_ms.borrow().len()), (1, 1));
    }

    #[test]
    fn lost_copies_are_sent_again_with_growing_gaps_until_it_is_given_up() {
        let (mut arena, arrived_ms) = arena(1_000);
        arena.run(60_000);
        // At the ages 0, 30, 90, 210, 450, 930 and 1,890 ms; the next would be older than a link may be silent.
        assert_eq!(arena.network.traffic.packets, 7);
        assert_eq!(arena.network.traffic.bytes, 350);
        assert!(arrived_ms.borrow().is_empty() && arena.queue.is_empty());
    }

    #[test]
    fn a_copy_that_gets_through_ends_it() {
        let (mut arena, arrived_ms) = arena(700);
        arena.run(60_000);
        assert_eq!(arrived_ms.borrow().len(), 1);
        assert!((1..=7).contains(&arena.network.traffic.packets));
    }

    #[test]
    fn a_frozen_process_receives_at_the_thaw_and_once_however_many_copies_came() {
        let (mut arena, arrived_ms) = arena(0);
        arena.freeze(1);
        arena.run(2_500);
        assert!(arrived_ms.borrow().is_empty());
        assert!(arena.network.traffic.packets > 3, "nobody acknowledges for a frozen process");
        arena.thaw(1);
        assert_eq!(*arrived_ms.borrow(), [2_500]);
    }
}
