//! Where in a scenario file something stands: the line a person has to look at.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step of the way from the file to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seg {
    /// Into the value of this key.
    Key(String),
    /// Into this element of a list.
    At(usize),
}

/// The line of a byte offset, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count() + 1
}

/// The line of what a way leads to, as far as the file goes along with it; 0 if it is no TOML.
pub(super) fn line_at(text: &str, way: &[Seg]) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 0 };
    let (mut offset, mut table, mut list) = (0, Some(root.get_ref()), None);
    for seg in way {
        let (start, value): (usize, &Spanned<DeValue<'_>>) = match seg {
            Seg::Key(key) => {
                let found = table.and_then(|t| t.iter().find(|(k, _)| k.get_ref() == key));
                let Some((key, value)) = found else { break };
                (key.span().start, value)
            }
            Seg::At(nth) => {
                let found = list.and_then(|items: &[Spanned<DeValue<'_>>]| items.get(*nth));
                let Some(value) = found else { break };
                (value.span().start, value)
            }
        };
        offset = start;
        table = value.get_ref().as_table();
        list = value.get_ref().as_array().map(|items| &items[..]);
    }
    line_of(text, offset)
}

/// The line of the first key of this name at or after the beginning of a range, nearest first.
pub(super) fn line_of_key(text: &str, name: &str, range: &Range<usize>) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut starts = Vec::new();
    keys(root.get_ref(), name, &mut starts);
    let start = starts.into_iter().filter(|&start| start >= range.start).min()?;
    Some(line_of(text, start))
}

fn keys(table: &DeTable<'_>, name: &str, starts: &mut Vec<usize>) {
    for (key, value) in table {
        if key.get_ref() == name {
            starts.push(key.span().start);
        }
        keys_in(value.get_ref(), name, starts);
    }
}

fn keys_in(value: &DeValue<'_>, name: &str, starts: &mut Vec<usize>) {
    if let Some(table) = value.as_table() {
        keys(table, name, starts);
    }
    for item in value.as_array().into_iter().flatten() {
        keys_in(item.get_ref(), name, starts);
    }
}
