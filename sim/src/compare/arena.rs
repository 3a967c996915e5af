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
