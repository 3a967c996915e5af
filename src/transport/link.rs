//! One link that is up: its writers, its readers, and its events in order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendDatagramError};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::limits::MAX_GOSSIP_STREAMS;
use super::{
    config::MAX_GOSSIP_BYTES,
    error::{RefusedReason, SendError},
    event::{Event, PeerInfo},
    frame::{self, Broken, Class, DATAGRAM_TAG, GOSSIP_TAG, Kind, tagged},
    outbox::Outbox,
    refuse::code,
    shared::Shared,
};

/// How long what QUIC has received already may take to reach the reader of events after the connection ended.
const DRAIN: Duration = Duration::from_secs(1);

/// A connection adopted as the pair's link.
pub(super) struct Link {
    pub(super) info: PeerInfo,
    pub(super) conn: Connection,
    pub(super) since: Instant,
    outboxes: [Outbox; 2],
    /// True once `Down` has been told (or `Up` never was): the next link to the same peer may begin.
    over: watch::Sender<bool>,
    /// Writers that have ended, with everything they wrote acknowledged or lost.
    writers_ended: watch::Sender<usize>,
}

impl Link {
    pub(super) fn new(info: PeerInfo, conn: Connection) -> Arc<Self> {
        Arc::new(Self {
            info,
            conn,
            since: Instant::now(),
            outboxes: [Outbox::default(), Outbox::default()],
            over: watch::Sender::new(false),
            writers_ended: watch::Sender::new(0),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.conn.close_reason().is_none()
    }

    pub(super) fn push(&self, class: Class, frame: Bytes) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::NotConnected);
        }
        self.outboxes[class.index()].push(frame)
    }

    /// Lets the writers write what waits and end.
    fn close_outboxes(&self) {
        self.outboxes.iter().for_each(Outbox::close);
    }

    /// Writes what waits, takes nothing more, and returns when the peer has acknowledged it all.
    pub(super) async fn flush(&self) {
        self.close_outboxes();
        let mut ended = self.writers_ended.subscribe();
        let _ = ended.wait_for(|ended| *ended == Class::ALL.len()).await;
    }

    /// Returns when this link's `Down` has been told.
    pub(super) async fn over(&self) {
        // An error would mean the sender is gone; we hold it.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Sends a gossip packet: as a datagram if it fits, else on a stream of its own.
    pub(super) fn gossip(self: &Arc<Self>, shared: &Arc<Shared>, bytes: Bytes) {
        let fits = self.conn.max_datagram_size().is_some_and(|max| bytes.len() < max);
        if fits {
            match self.conn.send_datagram(tagged(GOSSIP_TAG, &bytes)) {
                Ok(()) => return shared.counters.gossip_sent.one(),
                // The path's limit shrank in between: the stream below takes it.
                Err(SendDatagramError::TooLarge) => {}
                Err(_) => return shared.counters.gossip_dropped.one(),
            }
        }
        let (link, owner) = (self.clone(), shared.clone());
        shared.spawn(async move {
            match link.gossip_stream(bytes).await {
                Some(()) => owner.counters.gossip_sent.one(),
                None => owner.counters.gossip_dropped.one(),
            }
        });
    }

    /// Sends a packet that may be lost. Returns whether it left.
    pub(super) fn datagram(&self, bytes: &[u8]) -> bool {
        self.conn.send_datagram(tagged(DATAGRAM_TAG, bytes)).is_ok()
    }

    async fn gossip_stream(&self, bytes: Bytes) -> Option<()> {
        // Gossip is of the moment: if the peer takes no stream within a second, this packet is stale.
        let mut stream = timeout(Duration::from_secs(1), self.conn.open_uni()).await.ok()?.ok()?;
        let mut chunks = [Bytes::from_static(&[GOSSIP_TAG]), bytes];
        stream.write_all_chunks(&mut chunks).await.ok()?;
        stream.finish().ok()
    }

    /// The life of the link, from `Up` to `Down`. `replaced` is the link whose place it takes.
    pub(super) async fn run(self: Arc<Self>, shared: Arc<Shared>, replaced: Option<Arc<Self>>) {
        if let Some(old) = replaced {
            old.conn.close(code::DUPLICATE, b"replaced by a newer link");
            old.over().await;
        }
        shared.counters.links_up.one();
        shared.tell(Event::Up(self.info.clone())).await;

        let mut tasks = JoinSet::new();
        for class in Class::ALL {
            let (link, shared) = (self.clone(), shared.clone());
            tasks.spawn(async move {
                write_class(&link, &shared, class).await;
                link.writers_ended.send_modify(|ended| *ended += 1);
            });
        }
        tasks.spawn(read_datagrams(self.clone(), shared.clone()));
        tasks.spawn(accept_streams(self.clone(), shared.clone()));

        let ended = self.conn.closed().await;
        self.close_outboxes();
        let _ = timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
        tasks.shutdown().await;

        shared.table.remove(&self);
        shared.counters.links_down.one();
        let PeerInfo { origin, node, link, .. } = self.info.clone();
        shared.tell(Event::Down { origin, node, link, reason: self.reason(&ended) }).await;
        self.over.send_replace(true);
    }

    fn reason(&self, ended: &quinn::ConnectionError) -> String {
        match ended {
            quinn::ConnectionError::ApplicationClosed(close) => {
                format!("closed by peer: {}", String::from_utf8_lossy(&close.reason))
            }
            quinn::ConnectionError::LocallyClosed => "closed by this node".into(),
            other => other.to_string(),
        }
    }

    fn broken(&self, shared: &Shared, broken: Broken) {
        if let Broken::Protocol(what) = broken {
            let reason = RefusedReason::Protocol(what.clone());
            self.conn.close(reason.close_code(), what.as_bytes());
            shared.refused(self.conn.remote_address(), Some(&self.info.node), false, reason);
        }
    }
}

async fn write_class(link: &Link, shared: &Shared, class: Class) {
    let Ok(mut stream) = link.conn.open_uni().await else { return };
    // Fails only for a stream that is closed; then the first write fails too.
    let _ = stream.set_priority(class.priority());
    let outbox = &link.outboxes[class.index()];
    let mut tagged = stream.write_all(&[class.tag()]).await;
    while tagged.is_ok()
        && let Some(frames) = outbox.take().await
    {
        let (count, bytes) = (frames.len(), frames.iter().map(Bytes::len).sum());
        tagged = frame::write_frames(&mut stream, frames).await;
        outbox.written(bytes);
        shared.counters.frames_sent.add(count);
        shared.counters.frame_bytes_sent.add(bytes);
    }
    match tagged {
        // Finished, and stopped() returns once the peer has acknowledged every byte: what close() waits for.
        Ok(()) if stream.finish().is_ok() => drop(stream.stopped().await),
        Ok(()) => {}
        // The peer reads this class no more though the connection lives: nothing could be sent ever again.
        Err(quinn::WriteError::Stopped(_)) => {
            link.broken(shared, Broken::Protocol("it stopped reading a class".into()));
        }
        Err(_) => {}
    }
}

async fn read_datagrams(link: Arc<Link>, shared: Arc<Shared>) {
    while let Ok(mut bytes) = link.conn.read_datagram().await {
        match (!bytes.is_empty()).then(|| bytes.split_to(1)[0]) {
            Some(GOSSIP_TAG) => shared.tell_gossip(link.info.addr, bytes),
            Some(DATAGRAM_TAG) => shared.tell_datagram(&link.info, bytes),
            // Of a later version, perhaps.
            _ => shared.counters.datagrams_dropped.one(),
        }
    }
}

/// Takes the peer's streams: one per class, any number of gossip packets.
async fn accept_streams(link: Arc<Link>, shared: Arc<Shared>) {
    let mut readers = JoinSet::new();
    let seen = Arc::new(parking_lot::Mutex::new([false; 2]));
    loop {
        tokio::select! {
            accepted = link.conn.accept_uni() => {
                let Ok(stream) = accepted else { break };
                readers.spawn(read_stream(link.clone(), shared.clone(), stream, seen.clone()));
            }
            // Forgets those that ended, so that the set does not grow with every gossip packet.
            Some(_) = readers.join_next() => {}
        }
    }
    // The connection is gone, but what it had received is still there to be read.
    while readers.join_next().await.is_some() {}
}

async fn read_stream(
    link: Arc<Link>,
    shared: Arc<Shared>,
    mut stream: RecvStream,
    seen: Arc<parking_lot::Mutex<[bool; 2]>>,
) {
    let done = match frame::read_kind(&mut stream).await {
        Ok(Kind::Gossip) => read_gossip(&link, &shared, &mut stream).await,
        Ok(Kind::Frames(class)) => {
            let again = std::mem::replace(&mut seen.lock()[class.index()], true);
            if again {
                // Order within a class would be lost.
                Err(Broken::Protocol(format!("a second stream of class {class:?}")))
            } else {
                read_frames(&link, &shared, &mut stream).await
            }
        }
        Err(broken) => Err(broken),
    };
    if let Err(broken) = done {
        link.broken(&shared, broken);
    }
}

async fn read_frames(link: &Link, shared: &Shared, stream: &mut RecvStream) -> Result<(), Broken> {
    while let Some(bytes) =
        frame::read_frame(stream, shared.config.max_frame_bytes, &shared.frame_room).await?
    {
        shared.counters.frames_received.one();
        shared.counters.frame_bytes_received.add(bytes.len());
        shared.tell(Event::Frame { origin: link.info.origin, link: link.info.link, bytes }).await;
    }
    Ok(())
}

async fn read_gossip(link: &Link, shared: &Shared, stream: &mut RecvStream) -> Result<(), Broken> {
    match stream.read_to_end(MAX_GOSSIP_BYTES).await {
        Ok(bytes) => shared.tell_gossip(link.info.addr, bytes.into()),
        Err(quinn::ReadToEndError::TooLong) => {
            return Err(Broken::Protocol(format!("gossip of more than {MAX_GOSSIP_BYTES} bytes")));
        }
        // A gossip packet cut short is a lost packet.
        Err(quinn::ReadToEndError::Read(_)) => {}
    }
    Ok(())
}

/// Streams a peer may have open towards us: one per class and the gossip.
pub(super) const MAX_UNI_STREAMS: u32 = (Class::ALL.len() + MAX_GOSSIP_STREAMS) as u32;
