//! Reliable packets under way, as a stream of the product's transport carries them: whole copies are sent again
//! until one is acknowledged. Acknowledgements are neither lost nor counted; a frozen process sends none.

use std::collections::BTreeMap;

use bytes::Bytes;

/// One reliable packet.
pub(super) struct Transfer {
    pub from: usize,
    pub to: usize,
    pub bytes: Bytes,
    /// When the first copy left.
    pub sent_ms: u64,
}

/// Those not acknowledged yet, by number.
#[derive(Default)]
pub(super) struct Transfers {
    waiting: BTreeMap<u64, Transfer>,
    begun: u64,
}

impl Transfers {
    /// A packet leaves for the first time; its number.
    pub fn begin(&mut self, now_ms: u64, from: usize, to: usize, bytes: Bytes) -> u64 {
        self.begun += 1;
        self.waiting.insert(self.begun, Transfer { from, to, bytes, sent_ms: now_ms });
        self.begun
    }

    /// One that still waits.
    pub fn get(&self, number: u64) -> Option<&Transfer> {
        self.waiting.get(&number)
    }

    /// A copy arrived, or nobody waits any more; whether it was the first to.
    pub fn arrived(&mut self, number: u64) -> bool {
        self.waiting.remove(&number).is_some()
    }
}
