//! Requests for several partitions, in as many frames as their size asks for.

use super::message::SyncItem;
use crate::limits::MAX_SYNC_NUMBERS;

/// Requests by frames. Partitions that crowds have written to have coverage enough for frames of their own: four in one
/// would hold up the writes that take the same stream.
pub fn in_frames(items: Vec<SyncItem>) -> Vec<Vec<SyncItem>> {
    let (mut frames, mut numbers) = (vec![Vec::new()], 0);
    for item in items {
        numbers += item.base.len();
        if numbers > MAX_SYNC_NUMBERS && frames.last().is_some_and(|last| !last.is_empty()) {
            frames.push(Vec::new());
            numbers = item.base.len();
        }
        if let Some(last) = frames.last_mut() {
            last.push(item);
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowded_partitions_are_asked_for_one_by_one_and_others_together() {
        let item = |partition, numbers| SyncItem {
            partition,
            nonce: (1, 1),
            base: vec![1; numbers],
            force: Vec::new(),
            have: 0,
        };
        let split = |sizes: &[usize]| {
            let items = sizes.iter().enumerate().map(|(n, &size)| item(n as u16, size)).collect();
            in_frames(items).iter().map(|f| f.iter().map(|i| i.partition).collect()).collect::<Vec<Vec<_>>>()
        };
        let most = MAX_SYNC_NUMBERS;
        assert_eq!(split(&[10, 10, 10, 10]), [vec![0, 1, 2, 3]]);
        assert_eq!(split(&[most, most, most + 1, 1]), [vec![0], vec![1], vec![2], vec![3]]);
        assert_eq!(split(&[1, most - 1, 1, 1]), [vec![0, 1], vec![2, 3]]);
    }
}
