//! The agent's settings: defaults < TOML file < `SESSIONMESH_*` environment < flags.

mod args;
mod file;
mod http;
mod layers;
mod meant;

use std::collections::BTreeMap;

use sessionmesh::Config;
use toml::{Table, Value};

pub use args::SettingsArgs;
use http::HttpSettings;
pub use http::{HttpPlan, read_token_file};
use layers::{Layers, Source};
use meant::meant;

use crate::exit::Failure;
use crate::logging::LEVEL_VARIABLE;

/// What all variables of ours begin with.
const PREFIX: &str = "SESSIONMESH_";
/// The cluster's secret, or the file it is in.
const SECRET_VARIABLES: [&str; 2] = ["SESSIONMESH_SECRET", "SESSIONMESH_SECRET_FILE"];
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
        // All mistakes at once: each costs whoever makes it a start.
        let mut mistakes = misspelt_variables(environment);
        mistakes.extend(lay_environment(&mut layers, environment));
        mistakes.extend(lay_flags(&mut layers, args));
        if !mistakes.is_empty() {
            return Err(mistakes.join("\n"));
        }
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

fn lay_environment(layers: &mut Layers, environment: &BTreeMap<String, String>) -> Vec<String> {
    let mut mistakes = Vec::new();
    for key in Layers::keys().iter().filter(|key| *key != "secrets") {
        let name = variable(key);
        if let Some(text) = environment.get(&name) {
            mistakes.extend(layers.set_text(key, text, Source::Env(name)).err());
        }
    }
    let secrets = SECRET_VARIABLES.map(|name| (name, environment.get(name)));
    let set = match secrets {
        [(_, None), (_, None)] => Ok(()),
        [(text, Some(_)), (file, Some(_))] => Err(format!("env {text} and {file} are both set: which one?")),
        [(name, Some(secret)), _] => {
            layers.set("secrets", sources("text", [secret]), Source::Env(name.into()))
        }
        [_, (name, Some(path))] => layers.set("secrets", sources("file", [path]), Source::Env(name.into())),
    };
    mistakes.extend(set.err());
    mistakes
}

fn lay_flags(layers: &mut Layers, args: &SettingsArgs) -> Vec<String> {
    let mut mistakes: Vec<_> = args.set.iter().filter_map(|pair| lay_pair(layers, pair).err()).collect();
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
            mistakes.extend(layers.set_text(key, text, Source::Flag(flag.into())).err());
        }
    }
    if !args.seeds.is_empty() {
        let seeds = args.seeds.iter().cloned().map(Value::String).collect();
        mistakes.extend(layers.set("seeds", Value::Array(seeds), Source::Flag("--seed".into())).err());
    }
    if !args.secret_files.is_empty() {
        let files = sources("file", &args.secret_files);
        mistakes.extend(layers.set("secrets", files, Source::Flag("--secret-file".into())).err());
    }
    mistakes
}

/// One `--set KEY=VALUE`.
fn lay_pair(layers: &mut Layers, pair: &str) -> Result<(), String> {
    let source = Source::Flag("--set".into());
    let (key, value) = pair.split_once('=').ok_or_else(|| format!("{source}: {pair:?} is no KEY=VALUE"))?;
    if matches!(key, "secrets" | "http.token") {
        return Err(format!("{source}: {key}: secrets are no flags, process lists are public"));
    }
    layers.set_text(key, value, source)
}

fn sources<'a>(kind: &str, values: impl IntoIterator<Item = &'a String>) -> Value {
    let one =
        |value: &String| Value::Table(Table::from_iter([(kind.to_owned(), Value::String(value.clone()))]));
    Value::Array(values.into_iter().map(one).collect())
}

/// Variables that look like ours and set nothing: made by an orchestrator for a service of our name, or misspelt beyond
/// recognition.
pub fn ignored_variables() -> Vec<String> {
    let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let known = known_variables();
    ours.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect()
}

/// Variables that are a setting's but for a slip.
fn misspelt_variables(environment: &BTreeMap<String, String>) -> Vec<String> {
    let known = known_variables();
    let short = |name: &str| name.trim_start_matches(PREFIX).to_owned();
    let names: Vec<_> = known.iter().map(|name| short(name)).collect();
    let unknown = environment.keys().filter(|name| !known.contains(name));
    unknown
        .filter_map(|name| Some((name, meant(&short(name), names.iter().map(String::as_str))?)))
        .map(|(name, meant)| format!("env {name} is no setting; did you mean {PREFIX}{meant}?"))
        .collect()
}

fn known_variables() -> Vec<String> {
    let settings = Layers::keys().into_iter().filter(|key| key != "secrets").map(|key| variable(&key));
    settings.chain(SECRET_VARIABLES.into_iter().chain(OTHER_VARIABLES).map(str::to_owned)).collect()
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
