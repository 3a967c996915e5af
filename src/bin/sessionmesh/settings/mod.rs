//! The agent's settings: defaults < TOML file < `SESSIONMESH_*` environment < flags.

mod args;
mod file;
mod http;
mod layers;

use std::collections::BTreeMap;

use sessionmesh::Config;
use toml::{Table, Value};

pub use args::SettingsArgs;
use http::HttpSettings;
pub use http::{HttpPlan, read_token_file};
use layers::{Layers, Source};

use crate::exit::Failure;
use crate::logging::LEVEL_VARIABLE;

/// What all variables of ours begin with.
const PREFIX: &str = "SESSIONMESH_";
/// Variables that are no settings of a node.
const OTHER_VARIABLES: [&str; 4] =
    [LEVEL_VARIABLE, "SESSIONMESH_CONFIG", "SESSIONMESH_LOG_FORMAT", "SESSIONMESH_LOG_FILE"];

/// Everything an agent is told, and by whom.
#[derive(Debug)]
pub struct Settings {
    /// The node's.
    pub mesh: Config,
    /// The HTTP endpoint's.
    pub http: HttpSettings,
    sources: BTreeMap<String, Source>,
}

impl Settings {
    /// Lays all layers over each other and checks the result.
    ///
    /// # Errors
    /// Exit code 2 and a sentence naming the layer, the setting and the cause.
    pub fn load(args: &SettingsArgs) -> Result<(Self, HttpPlan), Failure> {
        let settings = Self::layered(args, &environment()?).map_err(Failure::usage)?;
        // Errors begin with the setting they are about, one of the core with its value too.
        let blame = |field: &str, text: String| match settings
            .sources
            .get(field.split([':', ' ']).next().unwrap_or_default())
        {
            Some(source) => Failure::usage(format!("{text} (from {source})")),
            None => Failure::usage(text),
        };
        settings.mesh.validate().map_err(|e| blame(&e.field, e.to_string()))?;
        let plan = settings.http.plan().map_err(|e| blame(&e, format!("configuration: {e}")))?;
        Ok((settings, plan))
    }

    fn layered(args: &SettingsArgs, environment: &BTreeMap<String, String>) -> Result<Self, String> {
        let (file, name) = match &args.config {
            Some(path) => (file::read(path)?, path.display().to_string()),
            None => (file::FileSettings::default(), String::new()),
        };
        let mut layers = Layers::new(file.mesh, file.http, &name);
        lay_environment(&mut layers, environment)?;
        lay_flags(&mut layers, args)?;
        let (mesh, http) = layers.build()?;
        Ok(Self { mesh, http, sources: layers.sources })
    }

    /// The effective settings as TOML: secrets hidden, each value that is no default with its source.
    pub fn to_toml(&self) -> String {
        let mesh = Table::try_from(self.mesh.redacted()).unwrap_or_default();
        let hidden = self.http.token.as_ref().map(|_| "(hidden)".to_owned());
        let http = HttpSettings { token: hidden, ..self.http.clone() };
        let http = Table::try_from(http).unwrap_or_default();
        let mut out = self.lines(&mesh, "");
        out.push_str("\n[http]\n");
        out.push_str(&self.lines(&http, "http."));
        out
    }

    fn lines(&self, table: &Table, prefix: &str) -> String {
        let line = |(key, value): (&String, &Value)| match self.sources.get(&format!("{prefix}{key}")) {
            Some(source) => format!("{key} = {value}  # {source}\n"),
            None => format!("{key} = {value}\n"),
        };
        table.iter().map(line).collect()
    }
}

/// Our variables. An empty one counts as not set, as templates of containers leave them.
fn environment() -> Result<BTreeMap<String, String>, Failure> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    ours.filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Failure::usage(format!("env {name}: not UTF-8"))),
        })
        .collect()
}

/// The variable of a setting: `http.listen` is `SESSIONMESH_HTTP_LISTEN`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn lay_environment(layers: &mut Layers, environment: &BTreeMap<String, String>) -> Result<(), String> {
    for key in Layers::keys().iter().filter(|key| *key != "secrets") {
        let name = variable(key);
        if let Some(text) = environment.get(&name) {
            layers.set_text(key, text, Source::Env(name))?;
        }
    }
    let secrets = ["SESSIONMESH_SECRET", "SESSIONMESH_SECRET_FILE"].map(|name| (name, environment.get(name)));
    match secrets {
        [(_, None), (_, None)] => Ok(()),
        [(text, Some(_)), (file, Some(_))] => Err(format!("env {text} and {file} are both set: which one?")),
        [(name, Some(secret)), _] => {
            layers.set("secrets", sources("text", [secret]), Source::Env(name.into()))
        }
        [_, (name, Some(path))] => layers.set("secrets", sources("file", [path]), Source::Env(name.into())),
    }
}

fn lay_flags(layers: &mut Layers, args: &SettingsArgs) -> Result<(), String> {
    for pair in &args.set {
        let source = Source::Flag("--set".into());
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("{source}: {pair:?} is no KEY=VALUE"))?;
        if matches!(key, "secrets" | "http.token") {
            return Err(format!("{source}: {key}: secrets are no flags, process lists are public"));
        }
        layers.set_text(key, value, source)?;
    }
    let flags = [
        ("--cluster", "cluster", &args.cluster),
        ("--node", "node", &args.node),
        ("--bind", "bind", &args.bind),
        ("--advertise", "advertise", &args.advertise),
        ("--http", "http.listen", &args.http),
        ("--token-file", "http.token_file", &args.token_file),
    ];
    for (flag, key, value) in flags {
        if let Some(text) = value {
            layers.set_text(key, text, Source::Flag(flag.into()))?;
        }
    }
    if !args.seeds.is_empty() {
        let seeds = args.seeds.iter().cloned().map(Value::String).collect();
        layers.set("seeds", Value::Array(seeds), Source::Flag("--seed".into()))?;
    }
    if !args.secret_files.is_empty() {
        layers.set("secrets", sources("file", &args.secret_files), Source::Flag("--secret-file".into()))?;
    }
    Ok(())
}

fn sources<'a>(kind: &str, values: impl IntoIterator<Item = &'a String>) -> Value {
    let one =
        |value: &String| Value::Table(Table::from_iter([(kind.to_owned(), Value::String(value.clone()))]));
    Value::Array(values.into_iter().map(one).collect())
}

/// Variables that look like ours and set nothing: misspelt, or made by an orchestrator for a service of our name.
pub fn ignored_variables() -> Vec<String> {
    let known: Vec<String> = Layers::keys().iter().map(|key| variable(key)).collect();
    let also = ["SESSIONMESH_SECRET", "SESSIONMESH_SECRET_FILE"];
    let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    ours.filter(|name| name.starts_with(PREFIX))
        .filter(|name| !known.contains(name) || name == "SESSIONMESH_SECRETS")
        .filter(|name| !also.contains(&name.as_str()) && !OTHER_VARIABLES.contains(&name.as_str()))
        .collect()
}

/// The effective settings on stdout, or what is wrong with them.
///
/// # Errors
/// Exit code 2, naming the layer, the setting and the cause.
pub fn check(args: &SettingsArgs) -> Result<String, Failure> {
    let (settings, _) = Settings::load(args)?;
    let ignored = ignored_variables().into_iter().map(|name| format!("# ignored, no setting: env {name}\n"));
    Ok(settings.to_toml() + &ignored.collect::<String>())
}
