//! Environment and flags over the file, setting by setting, so that an error can blame the layer that is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use sessionmesh::Config;
use toml::{Table, Value};

use super::http::HttpSettings;
use super::meant::did_you_mean;

/// Where a value comes from.
///
/// In rising strength: a stronger one replaces a weaker one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of this file.
    File(String),
    /// This environment variable.
    Env(String),
    /// This flag.
    Flag(String),
}

impl Source {
    fn rank(&self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Env(_) => 1,
            Self::Flag(_) => 2,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(name) => write!(f, "file {name}"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Settings as tables while layers are laid on, and where each came from. Keys of the HTTP table are named
/// `http.KEY`.
pub struct Layers {
    mesh: Table,
    http: Table,
    /// The settings that are not defaults.
    pub sources: BTreeMap<String, Source>,
}

impl Layers {
    /// What the file says.
    pub fn new(mesh: Table, http: Table, file: &str) -> Self {
        let keys = mesh.keys().cloned().chain(http.keys().map(|key| format!("http.{key}")));
        let sources = keys.map(|key| (key, Source::File(file.to_owned()))).collect();
        Self { mesh, http, sources }
    }

    /// Every setting there is, by name.
    pub fn keys() -> Vec<String> {
        let (mesh, http) = defaults();
        // TOML has no word for "none", so that optional settings are not among the defaults' keys.
        let optional = ["advertise", "http.token", "http.token_file"].map(str::to_owned);
        let http = http.keys().map(|key| format!("http.{key}"));
        mesh.keys().cloned().chain(http).chain(optional).collect()
    }

    /// Lays one value, given as text, over what is there.
    ///
    /// # Errors
    /// A sentence naming the source and what is wrong with the value.
    pub fn set_text(&mut self, key: &str, text: &str, source: Source) -> Result<(), String> {
        let (mesh, http) = defaults();
        let example = match key.strip_prefix("http.") {
            Some(key) => http.get(key).cloned(),
            None => mesh.get(key).cloned(),
        };
        if !Self::keys().iter().any(|known| known == key) {
            let known = Self::keys();
            let meant = did_you_mean(key, known.iter().map(String::as_str));
            return Err(format!("{source}: {key:?} is no setting{meant}"));
        }
        let value = value_like(example.as_ref(), text).map_err(|e| format!("{source}: {e}"))?;
        self.set(key, value, source)
    }

    /// Lays one value over what is there.
    ///
    /// # Errors
    /// As [`Layers::set_text`].
    pub fn set(&mut self, key: &str, value: Value, source: Source) -> Result<(), String> {
        let secret = matches!(key, "secrets" | "http.token");
        self.replace_twin(key, &source);
        let checked = match key.strip_prefix("http.") {
            Some(key) => {
                self.http.insert(key.to_owned(), value);
                HttpSettings::deserialize(self.http.clone()).map(drop)
            }
            None => {
                self.mesh.insert(key.to_owned(), value);
                Config::deserialize(self.mesh.clone()).map(drop)
            }
        };
        if let Err(error) = checked {
            // serde quotes what it found; here that may be the secret.
            let what = if secret { "cannot be used" } else { error.message() };
            return Err(format!("{source}: {key}: {what}"));
        }
        self.sources.insert(key.to_owned(), source);
        Ok(())
    }

    /// A token and a token file exclude each other within one layer; between layers the stronger one wins.
    fn replace_twin(&mut self, key: &str, source: &Source) {
        let (twin, name) = match key {
            "http.token" => ("http.token_file", "token_file"),
            "http.token_file" => ("http.token", "token"),
            _ => return,
        };
        if self.sources.get(twin).is_some_and(|held| held.rank() < source.rank()) {
            self.http.remove(name);
            self.sources.remove(twin);
        }
    }

    /// The settings all layers make together.
    ///
    /// # Errors
    /// Cannot occur after values that were set one by one; told rather than assumed.
    pub fn build(&self) -> Result<(Config, HttpSettings), String> {
        let mesh = Config::deserialize(self.mesh.clone()).map_err(|e| e.message().to_owned())?;
        let http = HttpSettings::deserialize(self.http.clone()).map_err(|e| e.message().to_owned())?;
        Ok((mesh, http))
    }
}

/// The defaults as tables. Both types serialize by construction; an empty table would only make a setting unknown.
pub fn defaults() -> (Table, Table) {
    let mesh = Table::try_from(Config::default()).unwrap_or_default();
    (mesh, Table::try_from(HttpSettings::default()).unwrap_or_default())
}

/// A value of the same kind as the default: a number, true or false, a list by commas, a table by `key=value` and commas, or text.
fn value_like(example: Option<&Value>, text: &str) -> Result<Value, String> {
    let integer = |text: &str| -> Result<Value, String> {
        text.trim().parse().map(Value::Integer).map_err(|e| format!("{text:?} is no whole number: {e}"))
    };
    let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(match example {
        Some(Value::Integer(_)) => integer(text)?,
        Some(Value::Boolean(_)) => {
            Value::Boolean(text.trim().parse().map_err(|_| format!("{text:?} is neither true nor false"))?)
        }
        Some(Value::Array(held)) if held.iter().any(Value::is_integer) => {
            Value::Array(words().map(integer).collect::<Result<_, _>>()?)
        }
        Some(Value::Array(_)) => Value::Array(words().map(|word| Value::String(word.to_owned())).collect()),
        Some(Value::Table(_)) => {
            let pair = |word: &str| match word.split_once('=') {
                Some((key, value)) => Ok((key.to_owned(), Value::String(value.to_owned()))),
                None => Err(format!("{word:?} is no key=value")),
            };
            Value::Table(words().map(pair).collect::<Result<_, _>>()?)
        }
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Source {
        Source::Env(name.into())
    }

    #[test]
    fn text_becomes_the_kind_of_the_default() {
        let mut layers = Layers::new(Table::new(), Table::new(), "");
        for (key, text) in [
            ("settle_ms", "7"),
            ("seeds", "a:1, b:2"),
            ("metadata", "zone=a,rack=9"),
            ("wire_versions", "1,2"),
            ("advertise", "10.0.0.1:7946"),
            ("http.max_body_bytes", "99"),
            ("http.dashboard_values", "true"),
        ] {
            layers.set_text(key, text, env("X")).unwrap_or_else(|e| panic!("{key}: {e}"));
        }
        let (mesh, http) = layers.build().unwrap();
        assert!(http.dashboard && http.dashboard_values);
        assert_eq!((mesh.settle_ms, mesh.wire_versions, http.max_body_bytes), (7, (1, 2), 99));
        assert_eq!(mesh.seeds, ["a:1", "b:2"]);
        assert_eq!(mesh.metadata["rack"], "9");
    }

    #[test]
    fn an_error_blames_its_layer() {
        let mut layers = Layers::new(Table::new(), Table::new(), "");
        let bad = layers.set_text("settle_ms", "soon", env("SESSIONMESH_SETTLE_MS")).unwrap_err();
        assert!(bad.starts_with("env SESSIONMESH_SETTLE_MS: \"soon\" is no whole number"), "{bad}");
        let bad = layers.set_text("bind", "here", Source::Flag("--bind".into())).unwrap_err();
        assert!(bad.starts_with("flag --bind: bind: "), "{bad}");
        let bad = layers.set_text("http.dashboard", "yes", env("X")).unwrap_err();
        assert!(bad.contains("neither true nor false"), "{bad}");
        assert!(layers.set_text("nope", "1", env("X")).unwrap_err().contains("is no setting"));
    }
}
