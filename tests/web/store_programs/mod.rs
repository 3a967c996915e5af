//! Programs of requests against the stores, beside a small model of what they mean.
//!
//! A program is what several requests of one visitor do, one step at a time: insert, remove, clear, save, load, flush,
//! cycle the id, begin anew with the latest cookie; and what others do to the session by the plain API. After each step
//! every session must hold what the model says. Its rules:
//!
//! 1. A request's **last** is what it was shown, or what it saved since, whichever came later.
//! 2. A save sets the keys whose value is not as in its last, and removes those of its last that its map lacks, where
//!    nobody has written them since. All other keys are left alone.
//! 3. The first save after a clear also removes all that is held then and not in its map, and leaves alone what is held
//!    as its map has it. (A second clear of one map is seen as the removal of each of its keys.)
//! 4. A save whose user is not that of its last logs in or out; so does the first one after a clear, in any case.
//! 5. A save without an id makes a session of its whole map. One of a session that was ended changes nothing; it is an
//!    error if it would, and the session went on under another id.
//! 6. A session that is made of another (its id was cycled) has, of keys that the request left as in its last, what the other
//!    held when it was deleted. If the request left its user, too, the user is the other's.
//! 7. Sessions that were made of one, of the same user as it, or by the log-in of one user, end with each other; none is made
//!    after. Nor is one of the same user as a session that had ended before its request deleted it.

// One text for each version of tower-sessions, on purpose.
#![allow(clippy::duplicate_mod)]

// Its own tests use the rest.
mod actix;
mod model;

/// The same text for each version of tower-sessions.
#[path = "."]
mod v15 {
    use tower_sessions as tower;
    #[path = "tower.rs"]
    mod programs;
}
#[path = "."]
mod v14 {
    use tower_sessions_014 as tower;
    #[path = "tower.rs"]
    mod programs;
}
