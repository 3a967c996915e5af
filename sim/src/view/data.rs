//! What the page is given: messages as rows of numbers, everything else as small objects, names interned.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A number JavaScript holds exactly.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "u64")]
pub(super) struct Num(pub u64);

impl TryFrom<u64> for Num {
    type Error = String;

    fn try_from(n: u64) -> Result<Self, String> {
        if n < 1 << 53 { Ok(Self(n)) } else { Err(format!("{n} is beyond 2^53")) }
    }
}

impl Serialize for Num {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// One message, one row.
pub(super) struct Message<'a> {
    pub t: u64,
    pub id: u64,
    pub from: usize,
    pub to: usize,
    pub kind: &'a str,
    pub fate: &'a str,
    pub bytes: u64,
    pub cause: Option<u64>,
    pub arrive: &'a [Num],
}

/// Names, by index.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    index: BTreeMap<String, usize>,
}

impl Names {
    fn of(&mut self, name: &str) -> usize {
        if let Some(&at) = self.index.get(name) {
            return at;
        }
        self.names.push(name.to_string());
        self.index.insert(name.to_string(), self.names.len() - 1);
        self.names.len() - 1
    }
}

/// The trace as the page will hold it.
pub(super) struct Data {
    /// `sim` or `node`.
    format: &'static str,
    /// What the first line says; the reader fills it.
    pub head: Map<String, Value>,
    /// Lines of kinds this viewer does not know, counted.
    pub ignored: BTreeMap<String, u64>,
    /// The last line is cut off.
    pub truncated: bool,
    kinds: Names,
    fates: Names,
    messages: String,
    lines: String,
}

impl Data {
    pub fn new(format: &'static str) -> Self {
        Self {
            format,
            head: Map::new(),
            ignored: BTreeMap::new(),
            truncated: false,
            kinds: Names::default(),
            fates: Names::default(),
            messages: String::new(),
            lines: String::new(),
        }
    }

    /// Adds a message found on line `line`.
    pub fn message(&mut self, message: &Message<'_>, line: u64) -> Result<(), String> {
        let (kind, fate) = (self.kinds.of(message.kind), self.fates.of(message.fate));
        if kind.max(fate) > 254 {
            return Err("more than 255 kinds of messages".into());
        }
        let Message { t, id, from, to, bytes, cause, arrive, .. } = message;
        let cause = cause.map_or("-1".into(), |c| c.to_string());
        let comma = if self.messages.is_empty() { "" } else { ",\n" };
        let row = format!("{comma}[{t},{line},{id},{from},{to},{kind},{fate},{bytes},{cause}");
        self.messages.push_str(&row);
        for at in *arrive {
            // Writing to a string cannot fail.
            let _ = write!(self.messages, ",{}", at.0);
        }
        self.messages.push(']');
        Ok(())
    }

    /// Adds anything else found on line `line`.
    pub fn line(&mut self, t: u64, line: u64, body: &impl Serialize) -> Result<(), String> {
        #[derive(Serialize)]
        struct At<'a, T> {
            t: u64,
            n: u64,
            #[serde(flatten)]
            body: &'a T,
        }
        if !self.lines.is_empty() {
            self.lines.push_str(",\n");
        }
        self.lines.push_str(&serde_json::to_string(&At { t, n: line, body }).map_err(|e| e.to_string())?);
        Ok(())
    }

    /// Counts a line of an unknown kind.
    pub fn ignore(&mut self, kind: &str) {
        // A trace of nothing but unknown kinds must not fill the page with their names.
        let kind = if self.ignored.len() < 32 || self.ignored.contains_key(kind) { kind } else { "others" };
        *self.ignored.entry(kind.chars().take(40).collect()).or_default() += 1;
    }

    /// The whole as JSON that may stand inside a `script` element: no string in it can end the element or open
    /// another, and no line separator breaks it.
    pub fn embedded(&self) -> String {
        let about = json!({
            "format": self.format,
            "head": self.head,
            "kinds": self.kinds.names,
            "fates": self.fates.names,
            "ignored": self.ignored,
            "truncated": self.truncated,
        });
        let whole = format!("{{\"about\":{about},\"msgs\":[{}],\"lines\":[{}]}}", self.messages, self.lines);
        harmless(&whole)
    }
}

/// `<`, `>`, `&` and the two line separators occur in JSON only inside strings, where their escapes mean the same.
fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 64);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_string_ends_the_element_it_stands_in() {
        let text = "</script><!-- \u{2028}\u{2029} & \"";
        let json = serde_json::to_string(text).unwrap();
        let safe = harmless(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn unknown_kinds_are_counted_without_bound_on_lines_but_not_on_names() {
        let mut data = Data::new("sim");
        for i in 0..100 {
            data.ignore(&format!("kind{i}"));
            data.ignore("kind0");
        }
        assert_eq!(data.ignored.len(), 33);
        assert_eq!(data.ignored["kind0"], 101);
        assert_eq!(data.ignored["others"], 68);
    }
}
