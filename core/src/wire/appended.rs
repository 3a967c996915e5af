//! Tests: what the next wire version costs. A field appended to a message is that message's file and nothing else, and
//! members of both versions understand each other for as long as an upgrade takes.

use serde::de::SeqAccess;

use super::ask::Ask;
use super::fault::BodyFault;
use super::read::{Fields, later, next, read};
use super::write::frame;
use super::{PageHeader, Sync};
use crate::causality::Origin;
use crate::frame::{Kind, split};
use crate::session::SessionId;

/// The wire version that only these tests speak.
const NEXT: u16 = 3;

/// [`Ask`] as that version has it: the asker says how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PatientAsk {
    request: u64,
    id: SessionId,
    wait_ms: u64,
}

impl PatientAsk {
    fn encode(&self, version: u16) -> Vec<u8> {
        let Self { request, id, wait_ms } = self;
        match version {
            ..NEXT => frame(version, Kind::Ask, &(request, id)),
            NEXT.. => frame(version, Kind::Ask, &(request, id, wait_ms)),
        }
    }

    fn decode(version: u16, body: &[u8]) -> Result<Self, BodyFault> {
        read(version, body)
    }
}

impl<'de> Fields<'de> for PatientAsk {
    fn read<A: SeqAccess<'de>>(version: u16, fields: &mut A) -> Result<Self, A::Error> {
        Ok(Self { request: next(fields)?, id: next(fields)?, wait_ms: later((version, NEXT), fields)? })
    }
}

fn body(frame: &[u8]) -> &[u8] {
    split(frame).map_or(&[], |parts| parts.body)
}

#[test]
fn a_field_appended_under_a_new_version_is_left_out_filled_in_and_passed_over() {
    let (request, id) = (7, SessionId::from_bytes([9; 16]));
    let (old, new) = (Ask { request, id }, PatientAsk { request, id, wait_ms: 1_500 });
    assert_eq!(PatientAsk::decode(NEXT, body(&new.encode(NEXT))), Ok(new.clone()), "both are new");
    for version in 1..NEXT {
        assert_eq!(new.encode(version), old.encode(version), "left out for older peers");
        let filled_in = PatientAsk { wait_ms: 0, ..new.clone() };
        assert_eq!(PatientAsk::decode(version, body(&old.encode(version))), Ok(filled_in));
    }
    assert_eq!(Ask::decode(NEXT, body(&new.encode(NEXT))), Ok(old), "passed over by who does not know it");
    let cut = frame(NEXT, Kind::Ask, &(request, id));
    assert!(PatientAsk::decode(NEXT, body(&cut)).is_err(), "not what that version writes");
}

/// Inside lists too: an element of a request, and the head of a page.
#[test]
fn a_field_appended_within_a_list_is_passed_over() {
    let base: Vec<u64> = vec![0, 1, 1, 8];
    let force: Vec<SessionId> = Vec::new();
    let item = (3u16, (1u32, 6u64), base, force, 7u64);
    let longer = (item.0, item.1, &item.2, &item.3, item.4, "appended");
    let origins = vec![Origin(5)];
    let known = frame(2, Kind::Sync, &(8u64, 9u64, &origins, vec![&item]));
    let unknown = frame(2, Kind::Sync, &(8u64, 9u64, &origins, vec![longer]));
    let read = Sync::decode(2, body(&known));
    assert!(read.is_ok(), "{read:?}");
    assert_eq!(Sync::decode(2, body(&unknown)), read);

    let header = PageHeader {
        round: 8,
        partition: 3,
        nonce: (1, 6),
        epoch: 2,
        wall_ms: 9,
        complete: true,
        source: false,
        base_counter: 4,
        origins,
        claims: Vec::new(),
        inc: Vec::new(),
    };
    // Nothing follows the head, so that a field behind its last makes it longer by one.
    let mut longer = header.encode(2, 0, &[]);
    longer[3] += 1;
    longer.extend([0x92, 1, 2]);
    let read = super::Page::decode(2, body(&longer)).map(|page| page.header);
    assert_eq!(read, Ok(header));
}
