//! The handshake on a fresh connection: Hello both ways, judgement, and which link of the pair lives.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{Connection, RecvStream, SendStream};
use serde::Serialize;

use super::{
    config::canonical,
    error::RefusedReason,
    event::PeerInfo,
    frame::{self, Broken},
    hello::{self, Hello, MAX_HELLO_BYTES, Settle, Verdict},
    link::Link,
    namesake,
    refuse::{Failure, classify, code},
    shared::Shared,
    table::Adoption,
};
use crate::core::causality::Origin;

/// An address that led to ourselves is not dialled again for as long as so many dials may take: 20 s. A virtual address, or
/// a balancer's, leads to somebody else tomorrow.
const MIRROR_DIALS: u64 = 10;

/// One connection whose TLS handshake has succeeded.
pub(super) struct Shake {
    shared: Arc<Shared>,
    conn: Connection,
    send: SendStream,
    recv: RecvStream,
}

type Outcome<T> = Result<T, Failure>;

impl Shake {
    /// The dialer's side; `dialled` is the address asked for.
    pub(super) async fn dial(shared: Arc<Shared>, conn: Connection, dialled: SocketAddr) -> Outcome<()> {
        let (send, recv) = conn.open_bi().await.map_err(|err| classify(&err))?;
        let mut shake = Self { shared, conn, send, recv };
        shake.say_hello(false, None).await?;
        let theirs = shake.hear_hello().await?;
        let origin = theirs.origin;
        let link = match shake.judge(&theirs).await {
            Err(failure) if failure == Failure::NotNeeded => {
                let believed = Duration::from_millis(MIRROR_DIALS * shake.shared.config.dial_timeout_ms);
                shake.shared.table.add_mirror(dialled, believed);
                return Err(failure);
            }
            other => other?,
        };
        // Told before the link is: nobody may become ready through it before the namesake was asked.
        if let Some(namesake) = theirs.namesake {
            namesake::ask(&shake.shared, namesake).await;
        }
        shake.shared.table.found(dialled, origin);
        if shake.we_decide(origin) {
            shake.decide(link, theirs.linked).await?;
        } else {
            let linked = shake.shared.table.has_open(origin);
            shake.say(&Settle::Ready { linked }).await?;
            shake.follow(link).await?;
        }
        Ok(())
    }

    /// The acceptor's side.
    pub(super) async fn accept(shared: Arc<Shared>, conn: Connection) -> Outcome<()> {
        let (send, recv) = conn.accept_bi().await.map_err(|err| classify(&err))?;
        let mut shake = Self { shared, conn, send, recv };
        let theirs = shake.hear_hello().await?;
        let linked = shake.shared.table.has_open(theirs.origin);
        if (shake.shared.config.is_over)(theirs.origin) {
            // Told at once: its own eyes see nothing wrong, and it would take the link for one that is up.
            return Err(Failure::Refused(RefusedReason::LifeOver { ours: false }));
        }
        if (shake.shared.config.is_kept_out)(Some(theirs.origin), canonical(shake.conn.remote_address())) {
            // As above.
            return Err(Failure::Refused(RefusedReason::KeptOut { ours: false }));
        }
        // Said before judging: the dialer shall see with its own eyes why the two do not fit.
        let namesake = shake.shared.table.namesake(&theirs.node, theirs.origin);
        shake.say_hello(linked, namesake).await?;
        let judged = shake.judge(&theirs).await;
        let link = match judged {
            Ok(link) => link,
            Err(failure) => {
                shake.linger().await;
                return Err(failure);
            }
        };
        if shake.we_decide(theirs.origin) {
            let Settle::Ready { linked } = shake.hear_settle().await? else {
                return Err(shake.protocol("the side with the larger origin decided"));
            };
            shake.decide(link, linked).await
        } else {
            shake.follow(link).await
        }
    }

    /// One side decides for the pair, so the two never disagree about which of two connections is the link.
    fn we_decide(&self, theirs: Origin) -> bool {
        self.shared.config.origin < theirs
    }

    async fn decide(&mut self, link: Arc<Link>, peer_linked: bool) -> Outcome<()> {
        let settling = Duration::from_millis(self.shared.config.dial_timeout_ms);
        match self.shared.table.decide(&link, peer_linked, settling) {
            Adoption::Adopted(replaced) => {
                // Before the word goes out, and without a pause in between: this handshake can be cut off at any
                // await, and a link in the table that nobody runs would never be taken out again. If the word
                // does not get out, the link's own end tells Down.
                self.shared.spawn(link.run(self.shared.clone(), replaced));
                self.say(&Settle::Adopt).await
            }
            Adoption::Duplicate => Err(Failure::NotNeeded),
        }
    }

    async fn follow(&mut self, link: Arc<Link>) -> Outcome<()> {
        if self.hear_settle().await? != Settle::Adopt {
            return Err(self.protocol("both sides wait for a decision"));
        }
        match self.shared.table.follow(&link) {
            Adoption::Adopted(replaced) => {
                self.shared.spawn(link.run(self.shared.clone(), replaced));
                Ok(())
            }
            Adoption::Duplicate => Err(Failure::NotNeeded),
        }
    }

    /// Judges the other's Hello; a link not yet adopted if it fits.
    async fn judge(&mut self, theirs: &Hello) -> Outcome<Arc<Link>> {
        let shared = &self.shared;
        let one_way_ms = u64::try_from(self.conn.rtt().as_millis() / 2).unwrap_or(0);
        let remote = canonical(self.conn.remote_address());
        let times = ((shared.config.wall_ms)(), one_way_ms);
        if (shared.config.is_kept_out)(Some(theirs.origin), remote) {
            return Err(Failure::Refused(RefusedReason::KeptOut { ours: false }));
        }
        let verdict = hello::judge(&shared.config, theirs, shared.serving(), times);
        let skewed = matches!(verdict, Verdict::Refuse(RefusedReason::ClockSkew { .. }));
        let asked = matches!(verdict, Verdict::Accept { .. }) && !(shared.config.is_sound)();
        if skewed || asked {
            let wall_ms = theirs.wall_ms.saturating_add(one_way_ms);
            shared.tell_clock(theirs.origin, wall_ms, !theirs.doubts);
        }
        match verdict {
            Verdict::Accept { version, wall_offset_ms } => {
                if let Some(drill) = &shared.config.drill {
                    drill.name_addr(&theirs.node, remote);
                    drill.name_addr(&theirs.node, theirs.advertise);
                }
                if !shared.table.has_room(theirs.origin, remote) {
                    let what = "more links than one address, or all together, may have".to_owned();
                    return Err(Failure::Refused(RefusedReason::Protocol(what)));
                }
                let info = PeerInfo {
                    node: theirs.node.clone(),
                    origin: theirs.origin,
                    generation: theirs.generation,
                    addr: theirs.advertise,
                    remote,
                    version,
                    wall_offset_ms,
                    link: shared.link_number(),
                };
                Ok(Link::new(info, self.conn.clone()))
            }
            Verdict::Myself => Err(Failure::NotNeeded),
            Verdict::Clone => {
                shared.cloned(remote, theirs.origin).await;
                Err(Failure::Refused(RefusedReason::IdentityClash))
            }
            Verdict::NameTaken => {
                shared.name_taken(theirs.advertise).await;
                Err(Failure::Refused(RefusedReason::NameTaken))
            }
            Verdict::Refuse(reason) => Err(Failure::Refused(reason)),
        }
    }

    /// Gives our Hello time to arrive before the connection is closed: the dialer, who sees the same misfit,
    /// closes first.
    async fn linger(&mut self) {
        let _ = self.send.finish();
        let _ = tokio::time::timeout(Duration::from_millis(500), self.conn.closed()).await;
    }

    async fn say_hello(&mut self, linked: bool, namesake: Option<SocketAddr>) -> Outcome<()> {
        let says = Hello::of(&self.shared.config, self.shared.advertise, self.shared.serving());
        let mine = Hello { linked, namesake, ..says };
        self.shared.counters.hellos_sent.one();
        self.say(&mine).await
    }

    async fn hear_hello(&mut self) -> Outcome<Hello> {
        let bytes = self.hear().await?;
        self.shared.counters.hellos_received.one();
        hello::decode_hello(&bytes).map_err(|what| self.protocol(&what))
    }

    async fn hear_settle(&mut self) -> Outcome<Settle> {
        let bytes = self.hear().await?;
        hello::decode_settle(&bytes).map_err(|what| self.protocol(&what))
    }

    async fn say(&mut self, message: &impl Serialize) -> Outcome<()> {
        let bytes = hello::encode(message).map_err(|what| self.protocol(&what))?;
        let written = frame::write_frames(&mut self.send, vec![bytes.into()]).await;
        written.map_err(|_| self.ended())
    }

    async fn hear(&mut self) -> Outcome<bytes::Bytes> {
        match frame::read_frame(&mut self.recv, MAX_HELLO_BYTES, &self.shared.frame_room).await {
            Ok(Some(bytes)) => Ok(bytes),
            // The peer refused: it ended the stream and its close is on the way, or it closed at once.
            Ok(None) | Err(Broken::Gone) => Err(self.closed().await),
            Err(Broken::Protocol(what)) => Err(self.protocol(&what)),
        }
    }

    async fn closed(&self) -> Failure {
        classify(&self.conn.closed().await)
    }

    fn ended(&self) -> Failure {
        self.conn.close_reason().map_or(Failure::Unreachable("stream ended".into()), |err| classify(&err))
    }

    fn protocol(&self, what: &str) -> Failure {
        Failure::Refused(RefusedReason::Protocol(what.to_owned()))
    }
}

/// Closes a connection that did not become a link, with the code that tells the peer why.
pub(super) fn close(conn: &Connection, failure: &Failure, to_self: bool) {
    match failure {
        Failure::Refused(reason) => conn.close(reason.close_code(), reason.word().as_bytes()),
        Failure::NotNeeded if to_self => conn.close(code::MYSELF, b"myself"),
        Failure::NotNeeded => conn.close(code::DUPLICATE, b"duplicate"),
        Failure::Unreachable(_) => conn.close(code::TIMEOUT, b"handshake timed out"),
    }
}
