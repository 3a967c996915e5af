//! The network between all processes of an arena, the same for every system: latency, loss, a cut, and what was
//! handed to it.

use serde::Serialize;

use crate::draw::Draw;

/// Payload bytes of the largest datagram that is not fragmented: an Ethernet frame without IPv4 and UDP headers.
pub const FRAGMENT_BYTES: usize = 1_472;
/// What IPv4 and UDP add to each packet (bytes).
pub const HEADER_BYTES: u64 = 28;
/// The first copy of a reliable packet that is not acknowledged is sent again after this long (ms), then after
/// twice as long, and so on.
pub const RESEND_AFTER_MS: u64 = 30;
/// A reliable packet not acknowledged for this long (ms) is given up: the product's transport takes a link for dead
/// after as much silence.
pub const GIVE_UP_AFTER_MS: u64 = 3_000;

/// What the network does to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Weather {
    /// Shortest one-way latency (µs).
    pub latency_min_us: u64,
    /// Longest one-way latency (µs); every value between is as likely.
    pub latency_max_us: u64,
    /// IP packets lost, of a thousand, each by a draw of its own.
    pub loss_per_mille: u64,
}

impl Weather {
    /// A local network: 0.5 to 2 ms one way.
    pub fn lan(loss_per_mille: u64) -> Self {
        Self { latency_min_us: 500, latency_max_us: 2_000, loss_per_mille }
    }
}

/// What was handed to the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Payload bytes, copies of reliable packets included.
    pub bytes: u64,
    /// Packets, copies of reliable ones included.
    pub packets: u64,
    /// How many had each size.
    sizes: Vec<u64>,
}

impl Traffic {
    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.packets += 1;
        if self.sizes.len() <= bytes {
            self.sizes.resize(bytes + 1, 0);
        }
        self.sizes[bytes] += 1;
    }

    /// Adds what another network carried.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.sizes.resize(self.sizes.len().max(other.sizes.len()), 0);
        self.sizes.iter_mut().zip(&other.sizes).for_each(|(sum, more)| *sum += more);
    }

    /// Half of all packets had this size or less; 0 if there were none.
    pub fn median_bytes(&self) -> usize {
        let mut seen = 0;
        self.sizes
            .iter()
            .position(|count| {
                seen += count;
                seen > 0 && 2 * seen >= self.packets
            })
            .unwrap_or(0)
    }

    /// The largest packet.
    pub fn largest_bytes(&self) -> usize {
        self.sizes.iter().rposition(|&count| count > 0).unwrap_or(0)
    }
}

/// The links between all processes.
pub struct Network {
    draw: Draw,
    weather: Weather,
    /// The side of a split each process is on.
    sides: Vec<u8>,
    /// Packets each process has sent: the index of its draws.
    sent: Vec<u64>,
    /// What was handed to it since this was last emptied.
    pub traffic: Traffic,
}

impl Network {
    /// A network without cuts between this many processes.
    pub fn new(members: usize, weather: Weather, draw: Draw) -> Self {
        Self { draw, weather, sides: vec![0; members], sent: vec![0; members], traffic: Traffic::default() }
    }

    /// Only processes of one side reach each other from now on.
    pub fn split(&mut self, side: impl Fn(usize) -> u8) {
        (0..self.sides.len()).for_each(|at| self.sides[at] = side(at));
    }

    /// Everybody reaches everybody again.
    pub fn mend(&mut self) {
        self.sides.fill(0);
    }

    /// Carries a packet: how long it takes (ms), or `None` if it is lost. Whole milliseconds, rounded up, because
    /// that is what the systems' clocks count.
    pub fn carry(&mut self, from: usize, to: usize, bytes: usize) -> Option<u64> {
        self.traffic.count(bytes);
        let draw = self.draw.within(from as u64).within(to as u64).within(self.sent[from]);
        self.sent[from] += 1;
        // A datagram is lost with any of its fragments.
        let fragments = bytes.div_ceil(FRAGMENT_BYTES).max(1) as u64;
        let lost = (1..=fragments).any(|nth| draw.chance(nth, self.weather.loss_per_mille));
        let latency_us = draw.range(0, self.weather.latency_min_us, self.weather.latency_max_us);
        (self.sides[from] == self.sides[to] && !lost).then_some(latency_us.div_ceil(1_000).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(loss_per_mille: u64) -> Network {
        Network::new(3, Weather::lan(loss_per_mille), Draw::new(1))
    }

    #[test]
    fn loss_and_latency_are_those_of_the_weather() {
        let mut network = network(200);
        let delays: Vec<_> = (0..30_000).map(|_| network.carry(0, 1, 100)).collect();
        let lost = delays.iter().filter(|delay| delay.is_none()).count();
        assert!((5_700..6_300).contains(&lost), "{lost}");
        // 0.5 to 1 ms is a third of the range, 1 to 2 ms two thirds.
        let quick = delays.iter().filter(|delay| **delay == Some(1)).count();
        let slow = delays.iter().filter(|delay| **delay == Some(2)).count();
        assert_eq!(lost + quick + slow, 30_000);
        assert!((7_600..8_400).contains(&quick), "{quick}");
    }

    #[test]
    fn a_datagram_is_lost_with_any_of_its_fragments() {
        let mut network = network(200);
        let lost = (0..30_000).filter(|_| network.carry(0, 1, 3 * FRAGMENT_BYTES).is_none()).count();
        // 1 - 0.8³ = 48.8 %
        assert!((14_200..15_100).contains(&lost), "{lost}");
    }

    #[test]
    fn a_split_lets_nothing_across_and_counts_what_was_sent() {
        let mut network = network(0);
        network.split(|at| (at == 2).into());
        assert_eq!(network.carry(0, 2, 10), None);
        assert!(network.carry(0, 1, 20).is_some());
        network.mend();
        assert!(network.carry(0, 2, 30).is_some());
        let traffic = &network.traffic;
        assert_eq!((traffic.bytes, traffic.packets), (60, 3));
        assert_eq!((traffic.median_bytes(), traffic.largest_bytes()), (20, 30));
    }
}
