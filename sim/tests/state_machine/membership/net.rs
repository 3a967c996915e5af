//! A network of detectors small enough to be seen through: every packet is where a test can hold, lose, forge and read
//! it. Time is virtual, and each seat's clock is its own.

use std::collections::BTreeMap;

use sessionmesh::core::causality::Origin;
use sessionmesh::core::membership::message::{Message, Packet, Pulse, Rumour, decode, encode};
use sessionmesh::core::membership::{Change, Config, Detector, Input, Listed, Member, Output, State, Why};

/// The driver gives a detector an input at least this often (ms).
const LOOK_AROUND_MS: u64 = 500;

/// The letters tests use for seats.
pub const A: usize = 0;
pub const B: usize = 1;
pub const C: usize = 2;
pub const D: usize = 3;
pub const E: usize = 4;
pub const S: usize = 5;

/// Who sits at `seat`.
pub fn origin(seat: usize) -> Origin {
    Origin((seat as u128 + 1) << 96)
}

fn seat_of(origin: Origin) -> usize {
    (origin.0 >> 96) as usize - 1
}

/// A packet that was sent.
#[derive(Clone, Debug)]
pub struct Flight {
    pub at_ms: u64,
    pub from: usize,
    pub to: usize,
    pub reliable: bool,
    pub packet: Packet,
}

impl Flight {
    /// The news it carries.
    pub fn rumours(&self) -> &[Rumour] {
        match &self.packet.message {
            Message::Ping { rumours, .. } | Message::Ack { rumours, .. } | Message::Gossip { rumours } => {
                rumours
            }
            _ => &[],
        }
    }
}

/// Who sits there.
enum Who {
    Detector(Box<Detector>),
    /// Answers pings, declines requests, and says nothing else.
    Puppet,
    /// Its machine is gone.
    Nobody,
}

struct Seat {
    who: Who,
    born_ms: u64,
    /// How long its monotonic clock stood still, its machine being suspended.
    behind_ms: u64,
    last_ms: u64,
    /// It stands still; what arrives waits.
    frozen: bool,
    held: Vec<(usize, bool, Vec<u8>)>,
}

/// From whom, to whom, over the stream or not, and what.
type Carried = (usize, usize, bool, Vec<u8>);
/// How long a packet takes (ms); `None` if it is lost.
type Line = Box<dyn FnMut(&Flight) -> Option<u64>>;

pub struct Net {
    pub now_ms: u64,
    pub config: Config,
    pub line: Line,
    /// Every change of a view: when, whose view, what.
    pub changes: Vec<(u64, usize, Change)>,
    /// Every packet, the lost ones among them.
    pub sent: Vec<Flight>,
    /// Everything written for the board.
    pub published: Vec<(usize, &'static str, String)>,
    seats: Vec<Seat>,
    flying: BTreeMap<(u64, usize), Carried>,
    seed: u8,
}

impl Net {
    pub fn empty(seed: u8) -> Self {
        Self {
            now_ms: 1_000_000,
            config: Config::default(),
            line: Box::new(|_| Some(1)),
            changes: Vec::new(),
            sent: Vec::new(),
            published: Vec::new(),
            seats: Vec::new(),
            flying: BTreeMap::new(),
            seed,
        }
    }

    /// `n` detectors that have known each other for long enough to have measured each other.
    pub fn of(n: usize, seed: u8) -> Self {
        let mut net = Self::empty(seed);
        (0..n).for_each(|_| _ = net.sit());
        net.linked()
    }

    /// A detector at A, and puppets at B, C, D, E and S.
    pub fn with_puppets(seed: u8) -> Self {
        Self::empty(seed).filled_with_puppets()
    }

    pub fn filled_with_puppets(mut self) -> Self {
        self.sit();
        (B..=S).for_each(|_| self.puppet());
        self.linked()
    }

    /// All are linked, and then know each other.
    pub fn linked(mut self) -> Self {
        for (at, peer) in self.pairs() {
            self.input(at, Input::LinkUp(origin(peer)));
        }
        self.settle();
        self
    }

    /// Lives that begin at different times have different beats.
    fn seat(&mut self, who: Who) {
        let now_ms = self.now_ms;
        let held = Vec::new();
        self.seats.push(Seat { who, born_ms: now_ms, behind_ms: 0, last_ms: now_ms, frozen: false, held });
        self.run(70);
    }

    /// One that answers pings and declines requests, and says nothing else.
    pub fn puppet(&mut self) {
        self.seat(Who::Puppet);
    }

    /// A detector that knows nobody. Returns its seat.
    pub fn sit(&mut self) -> usize {
        let at = self.seats.len();
        let seed: [u8; 32] = std::array::from_fn(|n| if n == 0 { self.seed } else { at as u8 });
        let detector = Detector::new(origin(at), self.config.clone(), seed, self.now_ms);
        self.seat(Who::Detector(Box::new(detector)));
        at
    }

    fn settle(&mut self) {
        self.run(600 * self.seats.len() as u64 + 500);
        for (at, peer) in self.pairs() {
            let member = self.member(at, peer);
            assert!(member.state == State::Alive && member.is_dated(), "{at} has not measured {peer}");
        }
        self.changes.clear();
        self.sent.clear();
    }

    /// Every detector with every other seat.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let n = self.seats.len();
        let pairs = (0..n * n).map(|i| (i / n, i % n));
        pairs.filter(|&(at, peer)| at != peer && matches!(self.seats[at].who, Who::Detector(_))).collect()
    }

    // ----- what happens ---------------------------------------------------------------------------------------

    /// Lets time pass.
    pub fn run(&mut self, for_ms: u64) {
        let end_ms = self.now_ms + for_ms;
        let (mut steps, mut step_ms) = (0, 0);
        loop {
            let packet_ms = self.flying.first_key_value().map_or(u64::MAX, |((at_ms, _), _)| *at_ms);
            let wake = (0..self.seats.len()).map(|at| (self.wake_ms(at), at)).min();
            let (wake_ms, at) = wake.unwrap_or((u64::MAX, 0));
            if packet_ms.min(wake_ms) > end_ms {
                break;
            }
            self.now_ms = packet_ms.min(wake_ms);
            steps = if self.now_ms == step_ms { steps + 1 } else { 0 };
            step_ms = self.now_ms;
            assert!(steps < 20_000, "time stands still at {step_ms} ms");
            match self.flying.pop_first() {
                Some((_, (from, to, reliable, bytes))) if packet_ms <= wake_ms => {
                    self.deliver(from, to, reliable, bytes);
                }
                other => {
                    self.flying.extend(other);
                    self.input(at, Input::Tick);
                }
            }
        }
        self.now_ms = end_ms;
    }

    /// Lets time pass until something is so, and no longer. Returns how long that was (ms).
    pub fn until(&mut self, most_ms: u64, what: &str, mut so: impl FnMut(&Self) -> bool) -> u64 {
        let began_ms = self.now_ms;
        while !so(self) {
            assert!(self.now_ms < began_ms + most_ms, "not within {most_ms} ms: {what}");
            self.run(1);
        }
        self.now_ms - began_ms
    }

    fn wake_ms(&self, at: usize) -> u64 {
        let seat = &self.seats[at];
        match &seat.who {
            Who::Detector(detector) if !seat.frozen => {
                let wanted_ms = detector.next_wake_ms().saturating_add(seat.behind_ms);
                wanted_ms.min(seat.last_ms + LOOK_AROUND_MS).max(self.now_ms)
            }
            _ => u64::MAX,
        }
    }

    fn deliver(&mut self, from: usize, to: usize, reliable: bool, bytes: Vec<u8>) {
        let Some(seat) = self.seats.get_mut(to) else { return };
        match seat.who {
            Who::Detector(_) if seat.frozen => seat.held.push((from, reliable, bytes)),
            Who::Detector(_) => self.input(to, Input::Packet { from: origin(from), reliable, bytes: &bytes }),
            Who::Puppet => {
                let answer = match decode(&bytes).expect("only what can be read is sent").message {
                    Message::Ping { seq, .. } => Message::Ack { seq, rumours: vec![] },
                    Message::PingReq { seq, .. } => Message::Nack { seq },
                    _ => return,
                };
                self.send(to, from, reliable, &Packet { pulse: self.pulse(to), message: answer });
            }
            Who::Nobody => {}
        }
    }

    /// An input of a detector's, by its own clock.
    pub fn input(&mut self, at: usize, input: Input<'_>) {
        let seat = &mut self.seats[at];
        let Who::Detector(detector) = &mut seat.who else { panic!("no detector sits at {at}") };
        let own_ms = self.now_ms - seat.behind_ms;
        seat.last_ms = self.now_ms;
        detector.handle(own_ms, input).expect("only good packets are sent");
        let outputs: Vec<Output> = std::iter::from_fn(|| detector.poll()).collect();
        for output in outputs {
            match output {
                Output::Send { to, reliable, bytes } => {
                    let packet = decode(&bytes).expect("a detector sends what can be read");
                    self.send(at, seat_of(to), reliable, &packet);
                }
                Output::Changed(change) => self.changes.push((self.now_ms, at, change)),
                Output::Publish { key, value } => self.published.push((at, key, value)),
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, reliable: bool, packet: &Packet) {
        let flight = Flight { at_ms: self.now_ms, from, to, reliable, packet: packet.clone() };
        if let Some(takes_ms) = (self.line)(&flight) {
            let key = (self.now_ms + takes_ms, self.sent.len());
            self.flying.insert(key, (from, to, reliable, encode(packet)));
        }
        self.sent.push(flight);
    }

    /// A packet arrives that the network did not carry.
    pub fn forge(&mut self, from: usize, to: usize, pulse: Pulse, message: Message) {
        let bytes = encode(&Packet { pulse, message });
        self.input(to, Input::Packet { from: origin(from), reliable: false, bytes: &bytes });
    }

    /// News arrives from a member that lives.
    pub fn tell(&mut self, from: usize, to: usize, rumour: Rumour) {
        self.forge(from, to, self.pulse(from), Message::Gossip { rumours: vec![rumour] });
    }

    /// Puts the line under a rule: what it says of a pair is lost.
    pub fn cut(&mut self, is_cut: impl Fn(usize, usize) -> bool + 'static) {
        self.line = Box::new(move |flight| (!is_cut(flight.from, flight.to)).then_some(1));
    }

    /// Nothing reaches a seat or leaves it.
    pub fn isolate(&mut self, seat: usize) {
        self.cut(move |from, to| from == seat || to == seat);
    }

    pub fn heal(&mut self) {
        self.cut(|_, _| false);
    }

    pub fn crash(&mut self, seat: usize) {
        self.seats[seat].who = Who::Nobody;
    }

    pub fn freeze(&mut self, seat: usize) {
        self.seats[seat].frozen = true;
    }

    /// It goes on, with what its socket held.
    pub fn thaw(&mut self, seat: usize) {
        self.seats[seat].frozen = false;
        for (from, reliable, bytes) in std::mem::take(&mut self.seats[seat].held) {
            self.deliver(from, seat, reliable, bytes);
        }
    }

    /// Its machine wakes after this long; its monotonic clock knows nothing of it. What was sent to it is lost.
    pub fn wake(&mut self, seat: usize, for_ms: u64) {
        self.seats[seat].frozen = false;
        self.seats[seat].held.clear();
        self.seats[seat].behind_ms += for_ms;
    }

    // ----- what can be seen -----------------------------------------------------------------------------------

    pub fn detector(&self, at: usize) -> &Detector {
        let Who::Detector(detector) = &self.seats[at].who else { panic!("no detector sits at {at}") };
        detector
    }

    pub fn is_flapping(&mut self, at: usize, member: usize) -> bool {
        let Who::Detector(detector) = &mut self.seats[at].who else { panic!("no detector sits at {at}") };
        detector.is_flapping(self.now_ms, origin(member))
    }

    pub fn knows(&self, at: usize, member: usize) -> bool {
        self.detector(at).members().contains_key(&origin(member))
    }

    pub fn member(&self, at: usize, member: usize) -> &Member {
        self.detector(at).members().get(&origin(member)).unwrap_or_else(|| panic!("{at} knows no {member}"))
    }

    pub fn state(&self, at: usize, member: usize) -> State {
        self.member(at, member).state
    }

    pub fn why(&self, at: usize, member: usize) -> Why {
        self.member(at, member).why
    }

    /// Whether all of these hold a member to be so.
    pub fn all(&self, at: &[usize], member: usize, state: State) -> bool {
        at.iter().all(|&at| at == member || self.state(at, member) == state)
    }

    /// When a suspicion began, by the clock of whoever holds it.
    pub fn began_ms(&self, at: usize, member: usize) -> u64 {
        self.member(at, member).suspicion.as_ref().expect("it is suspected").began_ms
    }

    /// What a seat's beat was at a time.
    pub fn beat_at(&self, seat: usize, at_ms: u64) -> u64 {
        at_ms - self.seats[seat].born_ms
    }

    /// A seat's pulse now, its incarnation being 0.
    pub fn pulse(&self, seat: usize) -> Pulse {
        self.pulse_of(seat, 0)
    }

    pub fn pulse_of(&self, seat: usize, incarnation: u32) -> Pulse {
        Pulse { incarnation, beat_ms: self.beat_at(seat, self.now_ms) }
    }

    /// An accusation made now.
    pub fn accusation(&self, subject: usize, incarnation: u32, accuser: usize) -> Rumour {
        let (subject, began_beat_ms) = (origin(subject), self.beat_at(accuser, self.now_ms));
        Rumour::Suspect { subject, incarnation, accuser: origin(accuser), began_beat_ms }
    }

    /// Which states a view has put a member into, in order.
    pub fn story(&self, at: usize, member: usize) -> Vec<State> {
        let of = |(_, seat, change): &&(u64, usize, Change)| *seat == at && change.member == origin(member);
        self.changes.iter().filter(of).map(|(_, _, change)| change.state).collect()
    }

    /// Who gave whom up.
    pub fn dead(&self) -> Vec<(usize, usize)> {
        let dead = self.changes.iter().filter(|(_, _, change)| change.state == State::Dead);
        dead.map(|(_, at, change)| (*at, seat_of(change.member))).collect()
    }

    /// When a view first put a member into a state.
    pub fn first_ms(&self, at: usize, member: usize, state: State) -> Option<u64> {
        let is_it = |c: &Change| c.member == origin(member) && c.state == state;
        self.changes.iter().find(|(_, seat, c)| *seat == at && is_it(c)).map(|(at_ms, ..)| *at_ms)
    }

    /// Packets sent from one seat to another.
    pub fn flights(&self, from: usize, to: usize) -> impl Iterator<Item = &Flight> {
        self.sent.iter().filter(move |f| f.from == from && f.to == to)
    }
}

/// The board lists a member.
pub fn listed(seat: usize) -> Listed {
    Listed { origin: origin(seat), alive: true, left: false }
}
