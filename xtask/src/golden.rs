//! The golden file of instruction counts: `name = number` a line, comments after `#`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Instructions for one operation, by its name.
pub type Counts = BTreeMap<String, u64>;

/// More than this part above the golden figure fails (thousandths): compilers and allocators wobble by less than a
/// hundredth, and what a change costs on purpose is blessed on purpose.
pub const MOST_MORE_MILLI: u64 = 30;

const HEAD: &str = "\
# Instructions that one operation of the core needs, as callgrind counts them in a release build. An operation that needs
# 3 % more fails `cargo xtask instructions`; `cargo xtask instructions --bless` writes this file. What each operation is,
# core/examples/instructions/main.rs tells. Figures of another compiler, allocator or C library are others.
";

/// Reads a golden file.
///
/// # Errors
/// Names the line that is not understood.
pub fn read(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, number) = line.split_once('=').with_context(|| format!("line {}: no `=`", n + 1))?;
        let number = number.trim().replace('_', "");
        let count = number.parse().with_context(|| format!("line {}: {number} is no number", n + 1))?;
        if counts.insert(name.trim().to_owned(), count).is_some() {
            bail!("line {}: {} a second time", n + 1, name.trim());
        }
    }
    Ok(counts)
}

/// The text of a golden file.
pub fn write(counts: &Counts) -> String {
    let lines = counts.iter().map(|(name, count)| format!("{name} = {count}\n"));
    [HEAD.to_owned()].into_iter().chain(lines).collect()
}

/// Thousandths by which `now` is above `golden`; below, it is negative.
pub fn more_milli(golden: u64, now: u64) -> i64 {
    let (golden, now) = (i128::from(golden), i128::from(now));
    i64::try_from((now - golden) * 1_000 / golden.max(1)).unwrap_or(i64::MAX)
}

/// What speaks against these counts: operations that need too much more, and names on one side only.
pub fn faults(golden: &Counts, now: &Counts) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, &count) in now {
        match golden.get(name) {
            None => faults.push(format!("{name}: not in the golden file")),
            // By products, so that nothing is rounded away.
            Some(&was)
                if u128::from(count) * 1_000 > u128::from(was) * u128::from(1_000 + MOST_MORE_MILLI) =>
            {
                faults.push(format!("{name}: {count} instructions, {was} before"));
            }
            Some(_) => {}
        }
    }
    let gone = golden.keys().filter(|name| !now.contains_key(*name));
    faults.extend(gone.map(|name| format!("{name}: in the golden file, and counted no more")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = counts(&[("edit", 12_345), ("get", 6)]);
        assert_eq!(read(&write(&all)).unwrap(), all);
        assert_eq!(read("get = 1_000 # one\n").unwrap(), counts(&[("get", 1_000)]));
        for (text, what) in
            [("get", "line 1: no `=`"), ("\nget = x", "line 2"), ("a=1\na=2", "a second time")]
        {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn three_hundredths_more_are_borne_and_not_one_instruction_beyond() {
        let golden = counts(&[("edit", 10_000), ("gone", 5)]);
        assert_eq!(faults(&golden, &counts(&[("edit", 10_300), ("gone", 1)])), Vec::<String>::new());
        let told = faults(&golden, &counts(&[("edit", 10_301), ("new", 5)]));
        assert_eq!(
            told,
            [
                "edit: 10301 instructions, 10000 before",
                "new: not in the golden file",
                "gone: in the golden file, and counted no more"
            ]
        );
        assert_eq!([more_milli(10_000, 10_301), more_milli(10_000, 9_000)], [30, -100]);
    }
}
