//! Writing: the head of a frame and MessagePack arrays behind it.

use serde::ser::Serialize;

use crate::frame::{Kind, begin};

/// What a frame's body takes mostly, its entries aside (bytes).
const BODY_BYTES: usize = 94;

/// A frame with one value.
pub(super) fn frame(version: u16, kind: Kind, body: &impl Serialize) -> Vec<u8> {
    with_second(begin(version as u8, kind, 0), body)
}

/// A frame with one value more, which nodes that know of none do not read.
pub(super) fn with_second(mut frame: Vec<u8>, body: &impl Serialize) -> Vec<u8> {
    // Writing to memory fails only for types that cannot be encoded, which these are not.
    let _ = rmp_serde::encode::write(&mut frame, body);
    frame
}

/// A frame whose value is a list: a head, then `n` elements that are already encoded.
pub(super) fn list_frame(
    version: u16,
    kind: Kind,
    head: &impl Serialize,
    n: u32,
    elements: &[u8],
) -> Vec<u8> {
    let mut out = begin(version as u8, kind, elements.len() + BODY_BYTES);
    write_list(head, n, elements, &mut out);
    out
}

/// A list: a head, then `n` elements that are already encoded.
pub(super) fn write_list(head: &impl Serialize, n: u32, elements: &[u8], out: &mut Vec<u8>) {
    match n + 1 {
        len @ 0..16 => out.push(0x90 | len as u8),
        len @ 16..0x1_0000 => out.extend([&[0xdc][..], &(len as u16).to_be_bytes()].concat()),
        len => out.extend([&[0xdd][..], &len.to_be_bytes()].concat()),
    }
    // Writing to memory fails only for types that cannot be encoded, which these are not.
    let _ = rmp_serde::encode::write(out, head);
    out.extend_from_slice(elements);
}
