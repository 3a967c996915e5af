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
    parse(&text).map_err(|(line, what)| format!("{name}:{line}: {what}"))
}

type Located = (usize, String);

fn parse(text: &str) -> Result<FileSettings, Located> {
    let table = DeTable::parse(text).map_err(|e| located(text, e.span(), None, e.message()))?;
    let mut mesh = table.clone();
    let keys: Vec<_> = mesh.get_ref().keys().filter(|key| key.get_ref() == "http").cloned().collect();
    let http = keys.iter().find_map(|key| mesh.get_mut().remove(key));
    let (span, all) = (mesh.span(), mesh.clone());
    let fail = |e: &toml::de::Error| located(text, e.span(), Some(table.get_ref()), e.message());
    let _: Config = typed(all).map_err(|e| fail(&e))?;
    let http = match http {
        Some(value) => {
            let span = value.span();
            let DeValue::Table(http) = value.into_inner() else {
                return Err((line_of(text, span.start), "http: must be a table, [http]".into()));
            };
            let _: HttpSettings = typed(Spanned::new(span.clone(), http.clone())).map_err(|e| fail(&e))?;
            plain(Spanned::new(span, http)).map_err(|e| fail(&e))?
        }
        None => toml::Table::new(),
    };
    let mesh = plain(Spanned::new(span, mesh.into_inner())).map_err(|e| fail(&e))?;
    Ok(FileSettings { mesh, http })
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
        let (line, what) = parse(text).unwrap_err();
        format!("{line}: {what}")
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
        assert!(unknown.starts_with("3: gossip_ms: unknown field"), "{unknown}");
        let kind = error("cluster = \"a\"\nsettle_ms = \"soon\"\n");
        assert!(kind.starts_with("2: settle_ms: invalid type"), "{kind}");
        let inner = error("cluster = \"a\"\n[http]\nport = 1\n");
        assert!(inner.starts_with("3: http.port: unknown field"), "{inner}");
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
