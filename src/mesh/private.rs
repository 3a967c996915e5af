//! Files that hold secrets: who else on this machine may read or change them.

use std::io;
use std::path::Path;

/// What others may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing.
    None,
    /// Every user of this machine may read it.
    Read,
    /// Others than its owner may change it: whose secret it holds is anybody's guess.
    Write,
}

/// Looks at a file's mode. Where there are no modes, nothing is known and nothing said.
///
/// # Errors
/// A file that cannot be looked at.
pub fn exposure(path: &Path) -> io::Result<Exposure> {
    Ok(of_mode(mode(path)?))
}

#[cfg(unix)]
fn mode(path: &Path) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode())
}

#[cfg(not(unix))]
fn mode(path: &Path) -> io::Result<u32> {
    std::fs::metadata(path).map(|_| 0)
}

/// The first line of a file that holds a secret.
///
/// # Errors
/// A sentence: the file cannot be read, or others than its owner may change it.
pub fn first_line(path: &Path) -> Result<String, String> {
    let cannot = |e| format!("cannot read {}: {e}", path.display());
    if exposure(path).map_err(cannot)? == Exposure::Write {
        return Err(format!("{} can be changed by others than its owner (chmod go-w)", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// A group that may read is the usual way to share with one service.
fn of_mode(mode: u32) -> Exposure {
    match mode {
        mode if mode & 0o022 != 0 => Exposure::Write,
        mode if mode & 0o004 != 0 => Exposure::Read,
        _ => Exposure::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_read_and_nobody_else_may_do_anything() {
        for (mode, exposure) in [
            (0o100_600, Exposure::None),
            (0o100_440, Exposure::None),
            (0o100_644, Exposure::Read),
            (0o100_660, Exposure::Write),
            (0o100_666, Exposure::Write),
        ] {
            assert_eq!(of_mode(mode), exposure, "{mode:o}");
        }
    }
}
