//! Reading: MessagePack arrays with bounds, and what later versions appended left alone.
//!
//! Decoding is bounded before it allocates: the frame's length by the transport, every list by the number of
//! elements it may have or, where a merge has no such number, by the frame it came in (an element takes a byte at
//! least); nesting by the fixed shapes (no recursive type exists here).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::fault::BodyFault;

/// The deepest shape is a push's part's entry's list.
const MAX_DEPTH: usize = 12;

/// Said of an array that ends before a field that every version has.
const CUT_SHORT: &str = "a message cut short";

/// Of lists that a merge makes: bounded by the frame alone.
pub(super) const MOST: usize = usize::MAX;

/// What is read field by field from an array. Fields that a later version appended are passed over, and a later
/// version's own reading fills in what an earlier one does not have ([`later`]).
pub(super) trait Fields<'de>: Sized {
    /// Reads it as `version` writes it.
    fn read<A: SeqAccess<'de>>(version: u16, fields: &mut A) -> Result<Self, A::Error>;
}

/// The next field, which is there in every version.
pub(super) fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(|| de::Error::custom(CUT_SHORT))
}

/// A field that is there `since` a version; its default before. Two versions talk for as long as an upgrade takes.
#[cfg_attr(not(test), expect(dead_code, reason = "no version has appended a field yet"))]
pub(super) fn later<'de, T: Deserialize<'de> + Default, A: SeqAccess<'de>>(
    (version, since): (u16, u16),
    fields: &mut A,
) -> Result<T, A::Error> {
    if version < since { Ok(T::default()) } else { next(fields) }
}

/// Reads a body of one value.
pub(super) fn read<'a, T: Fields<'a>>(version: u16, body: &'a [u8]) -> Result<T, BodyFault> {
    let mut de = deserializer(body);
    Of::new(version).deserialize(&mut de).map_err(shape)
}

/// Reads the first value, and the second if there is one that can be read: what later versions may put there instead
/// is theirs. Nodes that know of no second value do not read it.
pub(super) fn read_both<'a, T: Fields<'a>, U: Fields<'a>>(
    version: u16,
    body: &'a [u8],
) -> Result<(T, Option<U>), BodyFault> {
    let mut de = deserializer(body);
    let first = Of::new(version).deserialize(&mut de).map_err(shape)?;
    Ok((first, Of::new(version).deserialize(&mut de).ok()))
}

/// Reads a body that is a list: its head, then its elements.
pub(super) fn read_list<'a, H: Fields<'a>, T: Element<'a>>(
    version: u16,
    body: &'a [u8],
) -> Result<List<H, T>, BodyFault> {
    let mut de = deserializer(body);
    Listed { version, of: PhantomData }.deserialize(&mut de).map_err(shape)
}

fn deserializer(body: &[u8]) -> rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'_, [u8]>> {
    let mut de = rmp_serde::Deserializer::from_read_ref(body);
    de.set_max_depth(MAX_DEPTH);
    de
}

fn shape(error: rmp_serde::decode::Error) -> BodyFault {
    BodyFault::Shape(error.to_string())
}

/// An array of fields, as a version writes it.
struct Of<T> {
    version: u16,
    of: PhantomData<T>,
}

impl<T> Of<T> {
    fn new(version: u16) -> Self {
        Self { version, of: PhantomData }
    }
}

impl<'de, T: Fields<'de>> DeserializeSeed<'de> for Of<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Fields<'de>> Visitor<'de> for Of<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let read = T::read(self.version, &mut seq)?;
        // Later versions may append; what is not understood is not an error.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(read)
    }
}

/// A list whose first element is a head. Its length is bounded by the frame's: an element takes a byte at least,
/// and an entry 20.
pub(super) struct List<H, T> {
    pub head: H,
    pub rest: Vec<T>,
}

struct Listed<H, T> {
    version: u16,
    of: PhantomData<(H, T)>,
}

impl<'de, H: Fields<'de>, T: Element<'de>> DeserializeSeed<'de> for Listed<H, T> {
    type Value = List<H, T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, H: Fields<'de>, T: Element<'de>> Visitor<'de> for Listed<H, T> {
    type Value = List<H, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a head and a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let head = seq.next_element_seed(Of::new(self.version))?;
        let head = head.ok_or_else(|| de::Error::custom("a list without its head"))?;
        let mut rest = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(element) = T::next(self.version, &mut seq)? {
            rest.push(element);
        }
        Ok(List { head, rest })
    }
}

/// What lists hold.
pub(super) trait Element<'de>: Sized {
    /// Reads the next one, if there is one, as `version` writes it.
    fn next<A: SeqAccess<'de>>(version: u16, list: &mut A) -> Result<Option<Self>, A::Error>;
}

impl<'de, H: Fields<'de>, T: Element<'de>> Element<'de> for List<H, T> {
    fn next<A: SeqAccess<'de>>(version: u16, list: &mut A) -> Result<Option<Self>, A::Error> {
        list.next_element_seed(Listed { version, of: PhantomData })
    }
}

/// The next field, which is a list of at most `most` arrays of fields.
pub(super) fn next_arrays<'de, T: Fields<'de>, A: SeqAccess<'de>>(
    (version, most): (u16, usize),
    fields: &mut A,
) -> Result<Vec<T>, A::Error> {
    let list = fields.next_element_seed(AtMost { most, each: || Of::new(version) })?;
    list.ok_or_else(|| de::Error::custom(CUT_SHORT))
}

/// A list of at most `N` elements.
#[derive(Default)]
pub(super) struct Many<T, const N: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Many<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded_seq(deserializer, N).map(Many)
    }
}

/// Reads a list of at most `most` elements.
pub(super) fn bounded_seq<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    most: usize,
) -> Result<Vec<T>, D::Error> {
    AtMost { most, each: || PhantomData }.deserialize(deserializer)
}

/// A list of at most `most` elements, never reserving for more than a few before they are there; `each` reads one.
struct AtMost<F> {
    most: usize,
    each: F,
}

impl<'de, S: DeserializeSeed<'de>, F: Fn() -> S> DeserializeSeed<'de> for AtMost<F> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de>, F: Fn() -> S> Visitor<'de> for AtMost<F> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} elements", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(element) = seq.next_element_seed((self.each)())? {
            if out.len() == self.most {
                return Err(de::Error::invalid_length(self.most + 1, &self));
            }
            out.push(element);
        }
        Ok(out)
    }
}
