//! Another node of our name that a peer holds a link to: is it still there? It is asked itself.
//!
//! A predecessor that crashed looks alive to others until its links time out, so their word is not enough to refuse a
//! start; and a member that lives must not be met by a second one of its name that serves already. One dial tells:
//! whoever is there is judged by its Hello (`hello`), and silence means that nobody is.

use std::{net::SocketAddr, sync::Arc};

use super::limits::MAX_ASKED;
use super::{config::canonical, dial, event::Event, shared::Shared};

/// Asks who is at `addr`, once, and tells when that begins and is over. Our own address is where *we* are now: the
/// namesake was our predecessor.
pub(super) async fn ask(shared: &Arc<Shared>, addr: SocketAddr) {
    let addr = canonical(addr);
    if shared.table.is_self(addr) || !is_news(shared, addr) {
        return;
    }
    shared.tell(Event::Namesake { addr, asked: false }).await;
    let asking = shared.clone();
    shared.spawn(async move {
        dial::ask(&asking, addr).await;
        asking.tell(Event::Namesake { addr, asked: true }).await;
    });
}

fn is_news(shared: &Shared, addr: SocketAddr) -> bool {
    let mut asked = shared.asked.lock();
    asked.len() < MAX_ASKED && asked.insert(addr)
}
