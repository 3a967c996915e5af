//! The plain API.

use sessionmesh::{Error, Found, SessionId, Sessions, WriteError};

use super::held_to_the_table;
use super::kit::{base, ends};
use crate::meshes;

fn shown(sessions: &Sessions, written: Result<SessionId, Error>) -> String {
    match written {
        Ok(id) => match sessions.get(&id) {
            Found::Session(session) => ends(&session, sessions.wall_ms()),
            other => format!("{other:?}"),
        },
        Err(Error::Write(WriteError::Expired { .. })) => "refused".into(),
        Err(other) => format!("{other}"),
    }
}

#[tokio::test]
async fn the_plain_api_means_what_the_table_says() {
    let mesh = meshes::alone("ends-plain").await;
    let sessions = mesh.sessions();
    held_to_the_table("plain", [0, 1], |case| {
        let now_ms = sessions.wall_ms();
        let new = sessions.create(base(), |fields| {
            case.first.unwrap_or(case.then).of(fields, now_ms);
            case.then.of(fields, now_ms);
            Ok(())
        });
        let new = new.map(|receipt| {
            let held = sessions.get(&receipt.id()).session().expect("it was created");
            assert_eq!(receipt.deadline_ms(), held.deadline_ms(), "{}: the receipt", case.asked);
            receipt.id()
        });
        let id = sessions.create(base(), |_| Ok(())).expect("created").id();
        if let Some(first) = case.first {
            sessions
                .edit(&id, |fields| {
                    first.of(fields, now_ms);
                    Ok(())
                })
                .expect("edited");
        }
        let before = sessions.get(&id).session().expect("it lives").expiry();
        let edited = sessions.edit(&id, |fields| {
            fields.set("k", &1)?;
            case.then.of(fields, now_ms);
            Ok(())
        });
        let held = sessions.get(&id).session().expect("no edit ends it");
        match &edited {
            Ok(receipt) => assert_eq!(receipt.deadline_ms(), held.deadline_ms(), "{}", case.asked),
            Err(_) => {
                assert_eq!(
                    (held.expiry(), held.bytes("k")),
                    (before, None),
                    "{}: changes nothing",
                    case.asked
                );
            }
        }
        // In one edit the last word counts: only two edits tell of two.
        let new = if case.first.is_some() { "-".into() } else { shown(&sessions, new) };
        [new, shown(&sessions, edited.map(|_| id))]
    });
}
