//! Frames on a stream: a big-endian `u32` length, then that many bytes. And the first byte of every stream.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{BufMut, Bytes, BytesMut};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::limits::{FREE_FRAME_BYTES, SPARE_FRAME_BYTES, STALL, STALL_BYTES};

/// Which of a link's ordered streams a frame takes. Frames of one class arrive in order; classes do not wait
/// for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Small and urgent: pushes, digests, verdicts. Goes first when both classes have something.
    Control,
    /// Large and patient: pages of bootstrap and anti-entropy.
    Bulk,
}

impl Class {
    pub(super) const ALL: [Self; 2] = [Self::Control, Self::Bulk];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Control => 0,
            Self::Bulk => 1,
        }
    }

    /// First byte of the class's stream.
    pub(super) fn tag(self) -> u8 {
        self.index() as u8
    }

    /// QUIC priority of the class's stream: higher goes first.
    pub(super) fn priority(self) -> i32 {
        match self {
            Self::Control => 1,
            Self::Bulk => 0,
        }
    }
}

/// First byte of a stream that carries one gossip packet and ends, and of a datagram that is one.
pub(super) const GOSSIP_TAG: u8 = 2;
/// First byte of a datagram for the floor above.
pub(super) const DATAGRAM_TAG: u8 = 3;

/// A datagram with its tag.
pub(super) fn tagged(tag: u8, bytes: &[u8]) -> Bytes {
    let mut datagram = BytesMut::with_capacity(1 + bytes.len());
    datagram.put_u8(tag);
    datagram.put_slice(bytes);
    datagram.freeze()
}

/// What a stream turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Frames(Class),
    Gossip,
}

/// Why reading from a stream ended.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection or the stream is gone; the connection knows why.
    Gone,
    /// The peer's fault.
    Protocol(String),
}

impl From<ReadExactError> for Broken {
    fn from(err: ReadExactError) -> Self {
        match err {
            ReadExactError::FinishedEarly(read_bytes) => {
                Self::Protocol(format!("stream ended {read_bytes} bytes into a message"))
            }
            ReadExactError::ReadError(ReadError::Reset(code)) => {
                Self::Protocol(format!("stream reset with code {code}"))
            }
            ReadExactError::ReadError(_) => Self::Gone,
        }
    }
}

/// Reads the first byte of a stream.
pub(super) async fn read_kind(stream: &mut RecvStream) -> Result<Kind, Broken> {
    let mut tag = [0u8];
    stream.read_exact(&mut tag).await?;
    match tag[0] {
        GOSSIP_TAG => Ok(Kind::Gossip),
        other => Class::ALL
            .into_iter()
            .find(|class| class.tag() == other)
            .map(Kind::Frames)
            .ok_or_else(|| Broken::Protocol(format!("stream of unknown kind {other}"))),
    }
}

/// Room for frames of which a part has come, shared by all links of a transport.
pub(super) struct Room {
    permits: Arc<Semaphore>,
    /// Bytes allocated for such frames.
    held: AtomicUsize,
}

/// A frame of which a part has come.
struct Growing<'r> {
    bytes: BytesMut,
    counted: usize,
    room: &'r Room,
}

impl Growing<'_> {
    fn count(&mut self) {
        let now = self.bytes.capacity();
        self.room.held.fetch_add(now.wrapping_sub(self.counted), Ordering::Relaxed);
        self.counted = now;
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// What one permit of [`Room`] stands for.
const ROOM_BYTES: usize = FREE_FRAME_BYTES;

impl Room {
    /// Room for the largest frame, and some.
    pub(super) fn new(max_frame_bytes: usize) -> Self {
        let permits = (max_frame_bytes + SPARE_FRAME_BYTES).div_ceil(ROOM_BYTES);
        let permits = Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self { permits, held: AtomicUsize::new(0) }
    }

    /// Bytes allocated for frames of which a part has come.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Reads one frame; `None` when the peer ended the stream between two frames.
pub(super) async fn read_frame(
    stream: &mut RecvStream,
    max_bytes: usize,
    room: &Room,
) -> Result<Option<Bytes>, Broken> {
    let mut head = [0u8; 4];
    match stream.read_exact(&mut head).await {
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        other => other?,
    }
    let frame_bytes = u32::from_be_bytes(head) as usize;
    if frame_bytes > max_bytes {
        return Err(Broken::Protocol(format!("frame of {frame_bytes} bytes, the limit is {max_bytes}")));
    }
    read_body(stream, frame_bytes, room).await.map(Some)
}

/// A length is the peer's word: what is allocated follows what has come, never by more than that again.
async fn read_body(stream: &mut RecvStream, frame_bytes: usize, room: &Room) -> Result<Bytes, Broken> {
    let bytes = BytesMut::with_capacity(frame_bytes.min(COPY_BYTES));
    let mut growing = Growing { bytes, counted: 0, room };
    growing.count();
    let (mut taken, mut held): (usize, Option<OwnedSemaphorePermit>) = (FREE_FRAME_BYTES, None);
    while growing.bytes.len() < frame_bytes {
        let begun = growing.bytes.len();
        let some = async {
            while growing.bytes.len() < frame_bytes.min(begun + STALL_BYTES) {
                if growing.bytes.len() == taken {
                    let more = room.permits.clone().acquire_owned().await.map_err(|_| Broken::Gone)?;
                    match &mut held {
                        Some(held) => held.merge(more),
                        none => *none = Some(more),
                    }
                    taken += ROOM_BYTES;
                }
                let wanted = frame_bytes.min(taken) - growing.bytes.len();
                match stream.read_chunk(wanted, true).await {
                    Ok(Some(chunk)) => {
                        growing.bytes.extend_from_slice(&chunk.bytes);
                        growing.count();
                    }
                    Ok(None) => return Err(ReadExactError::FinishedEarly(growing.bytes.len()).into()),
                    Err(error) => return Err(ReadExactError::ReadError(error).into()),
                }
            }
            Ok::<(), Broken>(())
        };
        match timeout(STALL, some).await {
            Ok(come) => come?,
            Err(_) => {
                let come = growing.bytes.len();
                return Err(Broken::Protocol(format!(
                    "a frame of {frame_bytes} bytes stands still at {come}"
                )));
            }
        }
    }
    Ok(std::mem::take(&mut growing.bytes).freeze())
}

/// Frames up to this size are copied together, so that a burst of small ones costs one write.
const COPY_BYTES: usize = 4 << 10;

/// Writes frames with their length prefixes. The caller has checked that each length fits 32 bits.
pub(super) async fn write_frames(stream: &mut SendStream, frames: Vec<Bytes>) -> Result<(), WriteError> {
    let mut chunks = Vec::with_capacity(1);
    let mut small = BytesMut::new();
    for frame in frames {
        small.put_u32(frame.len() as u32);
        if frame.len() <= COPY_BYTES {
            small.put_slice(&frame);
        } else {
            chunks.push(small.split().freeze());
            chunks.push(frame);
        }
    }
    if !small.is_empty() {
        chunks.push(small.freeze());
    }
    stream.write_all_chunks(&mut chunks).await
}
