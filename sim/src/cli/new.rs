//! `new`: a scenario to begin with, which passes as it is.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use sessionmesh_sim::scenario::template;

use super::Failure;
use super::out::Out;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Its name: small letters, digits and hyphens.
    name: String,
    /// How many nodes it has.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=64))]
    nodes: u64,
    /// Where to write it; `NAME.toml` here if absent, `-` for the standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> Result<bool, Failure> {
    let name = &args.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("{name:?}: a name is made of small letters, digits and hyphens").into());
    }
    let text = template(name, args.nodes as usize);
    let file = args.output.clone().unwrap_or_else(|| format!("{name}.toml").into());
    let mut out = Out::new();
    if file.as_os_str() == "-" {
        out.text(&text)?;
        return Ok(true);
    }
    let shown = file.display();
    let opened = OpenOptions::new().write(true).create_new(true).open(&file);
    opened.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| format!("{shown}: {e}"))?;
    out.line(&format!("{shown} written; try: sessionmesh-sim run {shown}"))?;
    Ok(true)
}
