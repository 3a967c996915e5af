//! [`MeshStore`]: a `SessionStore` for tower-sessions that merges concurrent requests per key.
//!
//! Feature `tower-sessions` serves tower-sessions 0.15, feature `tower-sessions-014` serves 0.14, which axum-login 0.18
//! uses. With both, one store serves both.
//!
//! Every top-level key of a session is one last-writer-wins field. Two requests that change different keys of one
//! session, on one node or on two, both take effect, through the unmodified trait: `load` hides in the record what
//! the request has seen, `save` writes only what differs from it. What to expect:
//!
//! * **One key, two writers:** the later write wins. Keep what changes independently under keys of its own.
//! * **Removed keys** are removed only as this request saw them: a value written since by another request stays.
//!   Across nodes that have not yet heard of each other's write, the later of write and removal wins.
//! * **`flush` and `delete` are final.** A `save` that comes after changes nothing and answers `Ok`; so does one after
//!   expiry. One that would change a session whose id was cycled away on this node is an error (`409: ...`).
//! * **`cycle_id`** takes along what other requests wrote, and is the same log-in. Sessions that were given two new ids at
//!   once end together. What this interface does not allow:
//!   `docs/EMBEDDING.md#a-new-id-what-holds-and-what-the-interface-does-not-allow`.
//! * **`clear`** empties the session of what this node holds when it is saved, filled again or not. A key added
//!   concurrently on another node stays.
//! * **An unchanged save** sends nothing. A changed expiry is a write, an unchanged idle time a touch, which is sent
//!   once it moves the deadline by a sixteenth.
//! * **Answers** wait for a second copy of what was written (`ack_timeout_ms`), while another member is alive.
//! * **A load** of an unknown id asks the peers before it says `None`, since that logs the user out. A node that
//!   cannot know answers with an error (think 503) instead.
//! * Keys are 1 to 255 bytes; a session has at most `max_fields` keys and `max_record_bytes` bytes, beyond which a
//!   save is an error that says so and changes nothing.
//!
//! A cache above this store (`CachingSessionStore`) is correct for one node and needless, since reads are in memory;
//! on several, its entries go stale and it sets stale values again.

mod bind;
mod date;
mod store;

pub use store::{MeshStore, mesh_id};
