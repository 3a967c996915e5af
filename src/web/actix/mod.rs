//! [`MeshStore`]: a `SessionStore` for actix-session 0.11 that merges concurrent requests per key.
//!
//! Every key of a session is one last-writer-wins field, through the unmodified trait: `load` hides in the state what
//! the request has seen, `update` writes only what differs from it. What to expect:
//!
//! * **Two requests that change different keys**, on one node or on two, both take effect. One key, two writers: the
//!   later write wins.
//! * **Removed keys** are removed only as this request saw them: a value written since by another request stays.
//! * **`purge` is final.** An `update` that comes after changes nothing and answers `Ok`; so does one after expiry.
//!   (actix-session's Redis store gives such an update a new key: logged in again.) One that would change a session
//!   whose key was renewed away on this node is an error (`409: ...`).
//! * **`renew`** takes along what other requests wrote, and is the same log-in. Sessions that were renewed twice at once end
//!   together. What this interface does not allow:
//!   `docs/EMBEDDING.md#a-new-id-what-holds-and-what-the-interface-does-not-allow`.
//! * **`clear`** empties the session of what this node holds when it is saved, filled again or not. A key added
//!   concurrently on another node stays.
//! * **A session's time to live** slides with every update, and with `TtlExtensionPolicy::OnEveryRequest` with every
//!   request: a touch, which is sent once it moves the deadline by a sixteenth.
//! * **Answers** wait for a second copy of what was written (`ack_timeout_ms`), while another member is alive.
//! * **A load** of an unknown key asks the peers before it says `None`, since that logs the user out. A node that cannot
//!   know answers with an error instead, which actix-session turns into an empty 500.
//! * **Values** are JSON text here and MessagePack in the mesh, so that a field saved by this store reads in the plain
//!   API and through tower-sessions. A value with an integer of more than 64 bits is kept as text that only this
//!   store reads.
//! * **No handler sees its session's key**: actix-session keeps it to its middleware, so that there is no way from a
//!   session to [`crate::mesh::Sessions::revoke_all_except`] here.
//! * **`Session::entries()`** shows one key more, `"\0mesh"`, which belongs to the store. An application that sets it
//!   gets an error.

mod json;
mod store;

pub use store::MeshStore;
