//! Commands run one after another, each with its time; the first that fails ends it, and is named so that it can be
//! repeated alone.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// One command.
pub struct Step {
    /// What it is, for whoever reads along.
    pub name: &'static str,
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its environment has in addition.
    pub env: Vec<(&'static str, String)>,
}

impl Step {
    /// A program with arguments.
    pub fn new(name: &'static str, program: &str, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { name, program: program.to_owned(), args, env: Vec::new() }
    }

    /// A command of cargo's.
    pub fn cargo(name: &'static str, args: &[&str]) -> Self {
        Self::new(name, "cargo", args)
    }

    /// The same with one more variable in its environment.
    pub fn with_env(mut self, key: &'static str, value: &str) -> Self {
        self.env.push((key, value.to_owned()));
        self
    }

    /// How to run it by hand, from the workspace's root.
    pub fn line(&self) -> String {
        let env = self.env.iter().map(|(key, value)| format!("{key}={}", quoted(value)));
        let words = [&self.program].into_iter().chain(&self.args).map(|word| quoted(word));
        env.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs it, and returns how long it took (s).
    ///
    /// # Errors
    /// If it cannot be started or fails; names the command to repeat.
    fn run(&self, root: &Path) -> Result<f64> {
        println!("=== {}", self.name);
        let begun = Instant::now();
        let envs = self.env.iter().map(|(key, value)| (*key, value));
        let status = Command::new(&self.program).args(&self.args).envs(envs).current_dir(root).status();
        let status = status.with_context(|| format!("{}: {} cannot be started", self.name, self.program))?;
        let spent_s = begun.elapsed().as_secs_f64();
        if !status.success() {
            bail!("{} failed after {spent_s:.1} s ({status}). To repeat it: {}", self.name, self.line());
        }
        println!("=== {}: {spent_s:.1} s", self.name);
        Ok(spent_s)
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs all, until one fails.
///
/// # Errors
/// Of the first that fails.
pub fn run_all(root: &Path, steps: &[Step]) -> Result<()> {
    let mut total_s = 0.0;
    for step in steps {
        total_s += step.run(root)?;
    }
    println!("=== all: {total_s:.1} s");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_as_a_shell_takes_it() {
        let step = Step::cargo("docs", &["doc", "--no-deps"]).with_env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(step.line(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_first_step_that_fails_ends_it_and_is_named() {
        let root = Path::new(".");
        let fails = Step::new("the second", "false", &[]);
        // Were it run, the error would be its own.
        let never = Step::new("the third", "/nowhere/at/all", &[]);
        let error = run_all(root, &[Step::new("the first", "true", &[]), fails, never]).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.starts_with("the second failed after ") && text.ends_with("To repeat it: false"),
            "{text}"
        );
    }
}
