//! Members that lie: their frames are rewritten on the way out. A bug, bit rot or malice, as its peers see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sessionmesh::core::causality::Origin;
use sessionmesh::core::replica::EntrySink;
use sessionmesh::core::session::State;
use sessionmesh::core::wire::{
    Bases, EntryReader, EntryWriter, Message, Page, Push, WireEntry, decode, encode_push_part,
};

/// How a member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// It does not.
    Off,
    /// Its pushes keep their claims and lose their entries.
    PushWithoutEntries,
    /// The fields in its pushes keep their versions and have other values, less than the true ones.
    ValueOfPushes,
    /// The same of the pages it answers rounds with.
    ValueOfPages,
}

impl Lie {
    /// A frame as the liar sends it.
    pub(super) fn tell(self, from: Origin, frame: Vec<u8>) -> Vec<u8> {
        match (self, decode(&frame)) {
            (Self::PushWithoutEntries, Ok(Message::Push(push))) => rewrite_push(from, &push, false),
            (Self::ValueOfPushes, Ok(Message::Push(push))) => rewrite_push(from, &push, true),
            (Self::ValueOfPages, Ok(Message::Page(page))) => rewrite_page(&page),
            _ => frame,
        }
    }
}

fn rewrite_push(from: Origin, push: &Push<'_>, entries: bool) -> Vec<u8> {
    let header = &push.header;
    let (bases, origins) = (push.bases(), header.origins_with(from));
    let mut writer = EntryWriter::new(bases, Some(from));
    header.origins.iter().for_each(|o| _ = writer.origin(*o));
    let mut parts = Vec::new();
    for part in &push.parts {
        let told = if entries { part.entries.as_slice() } else { &[] };
        told.iter().for_each(|entry| write_falsely(bases, &origins, entry, &mut writer));
        let (n, body) = writer.take();
        let range = (part.lo, part.hi);
        encode_push_part(header.base_counter, part.partition, range, n, &body, &mut parts);
    }
    header.encode(push.version, push.parts.len() as u32, &parts)
}

fn rewrite_page(page: &Page<'_>) -> Vec<u8> {
    let header = &page.header;
    let bases = page.bases();
    let mut writer = EntryWriter::new(bases, None);
    header.origins.iter().for_each(|o| _ = writer.origin(*o));
    page.entries.iter().for_each(|entry| write_falsely(bases, &header.origins, entry, &mut writer));
    let (n, body) = writer.take();
    header.encode(page.version, n, &body)
}

/// Writes an entry with other values: as many `!`, which is less than anything a client writes.
fn write_falsely(bases: Bases, origins: &[Origin], entry: &WireEntry<'_>, writer: &mut EntryWriter) {
    let reader = EntryReader { bases, origins };
    let place = |origin: Origin| origins.iter().position(|&o| o == origin).unwrap_or_default() as u32;
    // What the core has just written reads back.
    let Ok(state) = reader.resolve(entry, &mut |origin| place(origin)) else { return };
    let State::Live(mut live) = state else {
        writer.entry(entry.id, &state, origins);
        return;
    };
    let of = |value: Option<&[u8]>| value.map(|v| vec![b'!'; v.len()]);
    let lies: Vec<Option<Vec<u8>>> = live.fields.iter().map(|f| of(f.value)).collect();
    for (field, lie) in live.fields.iter_mut().zip(&lies) {
        field.value = lie.as_deref();
    }
    writer.entry(entry.id, &State::Live(live), origins);
}
