//! The census: figures of the structure, the same for the same sources, each with its places. What each figure counts is
//! said where it is counted.
//!
//! Reader's order: [`figure`] (what a figure is), [`source`] (what is read, and which part of a package it is),
//! `signatures` and `public` (items), `circles` and `modules` (who needs whom), `references` with `markdown` and
//! `comments` (what documents and comments point at), `report` (how it is printed). What macros make is not seen.

mod cfg;
mod circles;
mod comments;
mod figure;
mod markdown;
mod modules;
mod packages;
mod public;
mod references;
mod report;
mod signatures;
mod sizes;
mod source;
mod tree;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use self::figure::Figure;
use self::source::Sources;
use crate::workspace::Workspace;

/// Counts, and prints the figures: as lines, as JSON, beside earlier ones, or the places of one.
///
/// # Errors
/// If something cannot be read or parsed, or no figure has the name asked for.
pub fn run(json: bool, compare: Option<&Path>, list: Option<&str>) -> Result<()> {
    let figures = count(&Workspace::load()?)?;
    if let Some(name) = list {
        let below = format!("{name}.");
        let named = |figure: &&Figure| figure.name == name || figure.name.starts_with(&below);
        let found: Vec<&Figure> = figures.iter().filter(named).collect();
        if found.is_empty() {
            let names: Vec<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
            bail!("no figure is called {name}; there are: {}", names.join(", "));
        }
        print!("{}", report::places(&found));
    } else if json {
        println!("{}", report::json(&figures)?);
    } else if let Some(file) = compare {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        print!("{}", report::compared(&figures, &text).with_context(|| file.display().to_string())?);
    } else {
        print!("{}", report::table(&figures));
    }
    Ok(())
}

fn count(workspace: &Workspace) -> Result<Vec<Figure>> {
    let sources = Sources::load(workspace)?;
    let mut figures = public::figures(workspace)?;
    figures.extend(signatures::figures(&sources));
    figures.extend(sizes::figures(&sources));
    figures.extend(packages::figures(workspace));
    figures.extend(modules::figures(workspace, &sources));
    figures.extend(references::figures(workspace, &sources)?);
    Ok(figures)
}
