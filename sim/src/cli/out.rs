//! Standard output, which whoever reads it may close at any time: then what is left is not written, and nothing
//! is wrong.

use std::io::{self, ErrorKind, StdoutLock, Write};

/// Standard output, locked.
pub(super) struct Out {
    stdout: StdoutLock<'static>,
    closed: bool,
}

impl Out {
    pub fn new() -> Self {
        Self { stdout: io::stdout().lock(), closed: false }
    }

    /// Writes text as it is.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.attempt(|stdout| stdout.write_all(text.as_bytes()))
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.attempt(|stdout| writeln!(stdout, "{text}"))
    }

    fn attempt(&mut self, f: impl FnOnce(&mut StdoutLock<'static>) -> io::Result<()>) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match f(&mut self.stdout).and_then(|()| self.stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}
