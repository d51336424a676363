//! The one place that writes to stdout and stderr, with colours, and with foreign text made
//! harmless.

use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Results.
    Stdout,
    /// Messages.
    Stderr,
}

impl Stream {
    /// Writes a text and a newline. If the reader has gone away, that is no error: the port is
    /// closed all the same, and a panic or an exit status must not hide that.
    pub fn line(self, text: &str) {
        let line = format!("{text}\n");
        let written = match self {
            Self::Stdout => io::stdout().write_all(line.as_bytes()),
            Self::Stderr => io::stderr().write_all(line.as_bytes()),
        };
        drop(written);
    }

    /// Whether writing there does not disturb another job of the terminal.
    pub fn is_foreground(self) -> bool {
        let holder = rustix::termios::tcgetpgrp(self.descriptor());
        // A terminal of another session has no jobs of ours.
        holder.is_ok_and(|holder| holder == rustix::process::getpgrp())
            || holder == Err(rustix::io::Errno::NOTTY)
    }

    pub fn is_terminal(self) -> bool {
        self.descriptor().is_terminal()
    }

    fn descriptor(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Colours,
    Plain,
}

impl Paint {
    /// The choice of `--color` for a stream; `auto` looks for a terminal and `NO_COLOR`.
    pub fn choose(choice: clap::ColorChoice, stream: Stream) -> Self {
        let coloured = match choice {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => {
                stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        };
        if coloured { Self::Colours } else { Self::Plain }
    }

    pub fn style(self, style: anstyle::Style, text: &str) -> String {
        match self {
            Self::Colours => format!("{style}{text}{style:#}"),
            Self::Plain => text.to_owned(),
        }
    }

    pub fn strong(self, text: &str) -> String {
        self.style(anstyle::Style::new().bold(), text)
    }

    pub fn warning(self, text: &str) -> String {
        self.style(anstyle::AnsiColor::Yellow.on_default().bold(), text)
    }

    pub fn error(self, text: &str) -> String {
        self.style(anstyle::AnsiColor::Red.on_default().bold(), text)
    }
}

/// Escapes control and bidirectional characters of foreign text: a query or an application name
/// must not control the terminal of its reader.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let is_bidi = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || is_bidi {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}
