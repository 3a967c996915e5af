//! The TOML file: `mesh::Config` at top level and one `[http]` table. An error names file, line and key, and never
//! shows a secret.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sessionmesh::Config;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::http::HttpSettings;
use super::layers::Layers;
use super::meant::did_you_mean;

/// Longest configuration file (bytes): far beyond any honest one.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Keys whose values must not be quoted in errors.
const SECRET_KEYS: [&str; 2] = ["secrets", "http.token"];

/// What a file says: both parts as tables holding only the keys it sets.
#[derive(Debug, Default)]
pub struct FileSettings {
    /// Keys of `mesh::Config`.
    pub mesh: toml::Table,
    /// Keys of the `[http]` table.
    pub http: toml::Table,
}

/// Reads and checks a file.
///
/// # Errors
/// `FILE:LINE: KEY: what is wrong`.
pub fn read(path: &Path) -> Result<FileSettings, String> {
    let name = path.display();
    let size = std::fs::metadata(path).map_err(|e| format!("{name}: {e}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{name}: {size} bytes: at most {MAX_FILE_BYTES}"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    let told = |mistakes: Vec<Located>| {
        let lines = mistakes.iter().map(|(line, what)| format!("{name}:{line}: {what}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    parse(&text).map_err(told)
}

type Located = (usize, String);

fn parse(text: &str) -> Result<FileSettings, Vec<Located>> {
    let table = DeTable::parse(text).map_err(|e| vec![located(text, e.span(), None, e.message())])?;
    let mut mesh = table.clone();
    let keys: Vec<_> = mesh.get_ref().keys().filter(|key| key.get_ref() == "http").cloned().collect();
    let http = keys.iter().find_map(|key| mesh.get_mut().remove(key));
    let fail = |e: &toml::de::Error| located(text, e.span(), Some(table.get_ref()), e.message());
    let mut mistakes: Vec<_> = each_alone::<Config>(&mesh).iter().map(fail).collect();
    let http = match http.map(|value| (value.span(), value.into_inner())) {
        Some((span, DeValue::Table(http))) => {
            let http = Spanned::new(span, http);
            mistakes.extend(each_alone::<HttpSettings>(&http).iter().map(fail));
            Some(http)
        }
        Some((span, _)) => {
            mistakes.push((line_of(text, span.start), "http: must be a table, [http]".into()));
            None
        }
        None => None,
    };
    if !mistakes.is_empty() {
        mistakes.sort();
        return Err(mistakes);
    }
    let plainly = |table| plain(table).map_err(|e| vec![fail(&e)]);
    Ok(FileSettings { mesh: plainly(mesh)?, http: http.map(plainly).transpose()?.unwrap_or_default() })
}

/// What is wrong with each key by itself, so that all is told at once.
fn each_alone<T: DeserializeOwned>(table: &Spanned<DeTable<'_>>) -> Vec<toml::de::Error> {
    let alone = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let one = DeTable::from_iter([(key.clone(), value.clone())]);
        typed::<T>(Spanned::new(table.span(), one)).err()
    };
    table.get_ref().iter().filter_map(alone).collect()
}

fn typed<T: DeserializeOwned>(table: Spanned<DeTable<'_>>) -> Result<T, toml::de::Error> {
    T::deserialize(toml::Deserializer::from(table))
}

fn plain(table: Spanned<DeTable<'_>>) -> Result<toml::Table, toml::de::Error> {
    toml::Table::deserialize(toml::Deserializer::from(table))
}

fn located(text: &str, span: Option<Range<usize>>, table: Option<&DeTable<'_>>, message: &str) -> Located {
    let at = span.map_or(0, |s| s.start);
    let line = line_of(text, at);
    let Some(key) = table.and_then(|table| key_at(table, "", at)) else {
        return (line, message.to_owned());
    };
    if SECRET_KEYS.contains(&key.as_str()) {
        // serde quotes what it found; here that may be the secret.
        let form = "must be text";
        let list = "must be a list of { text = \"..\" } or { file = \"..\" }";
        return (line, format!("{key}: {}", if key == "secrets" { list } else { form }));
    }
    if message.starts_with("unknown field") {
        let known = Layers::keys();
        let meant = did_you_mean(&key, known.iter().map(String::as_str));
        return (line, format!("{key}: no setting{meant}"));
    }
    (line, format!("{key}: {message}"))
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&b| b == b'\n').count()
}

/// The top-level key, or the key within `[http]`, whose text lies at `at`.
fn key_at(table: &DeTable<'_>, prefix: &str, at: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = format!("{prefix}{}", key.get_ref());
        let inner = match value.get_ref() {
            DeValue::Table(inner) if prefix.is_empty() && name == "http" => key_at(inner, "http.", at),
            _ => None,
        };
        let near = key.span().contains(&at) || value.span().contains(&at);
        inner.or(near.then_some(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let told = parse(text).unwrap_err();
        told.iter().map(|(line, what)| format!("{line}: {what}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn both_tables_are_read_and_only_what_is_set() {
        let file = parse("cluster = \"shop\"\n[http]\nlisten = \"unix:/run/m\"\n").unwrap();
        assert_eq!(file.mesh.keys().collect::<Vec<_>>(), ["cluster"]);
        assert_eq!(file.http["listen"].as_str(), Some("unix:/run/m"));
        assert!(parse("").unwrap().mesh.is_empty());
        assert_eq!(parse("http.listen = \"x\"").unwrap().http.len(), 1, "dotted is the same table");
    }

    #[test]
    fn an_error_names_line_and_key() {
        let unknown = error("cluster = \"a\"\n\ngossip_ms = 5\n");
        assert_eq!(unknown, "3: gossip_ms: no setting");
        let kind = error("cluster = \"a\"\nsettle_ms = \"soon\"\n");
        assert!(kind.starts_with("2: settle_ms: invalid type"), "{kind}");
        let inner = error("cluster = \"a\"\n[http]\nport = 1\n");
        assert_eq!(inner, "3: http.port: no setting");
        let all = error("clustre = \"a\"\nsettle_ms = \"soon\"\n[http]\nlisten = 5\ntokn_file = \"x\"\n");
        let lines: Vec<_> = all.lines().collect();
        assert_eq!(lines[0], "1: clustre: no setting; did you mean cluster?");
        assert!(lines[1].starts_with("2: settle_ms: invalid type"), "{all}");
        assert!(lines[2].starts_with("4: http.listen: invalid type"), "{all}");
        assert_eq!(lines[3], "5: http.tokn_file: no setting; did you mean http.token_file?");
        assert!(error("a = 1\nb = = 2\n").starts_with("2: "));
        assert!(error("http = 5").contains("must be a table"));
    }

    #[test]
    fn an_error_never_shows_a_secret() {
        for text in [
            "secrets = [\"hunter2\"]",
            "secrets = [{ text = 5 }, { hunter2 = \"x\" }]",
            "[http]\ntoken = [\"hunter2\"]",
        ] {
            assert!(!error(text).contains("hunter2"), "{}", error(text));
        }
    }
}
