//! Text on its way to a terminal: the one place that writes, and what makes foreign text
//! harmless.

use std::io::{self, IsTerminal, Write};

/// Where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Results.
    Stdout,
    /// Messages.
    Stderr,
}

impl Stream {
    /// Writes a text and a newline. A reader that has gone away is no failure: the port
    /// has been closed all the same, and a panic or an exit status must not hide that.
    pub fn line(self, text: &str) {
        let line = format!("{text}\n");
        let written = match self {
            Self::Stdout => io::stdout().write_all(line.as_bytes()),
            Self::Stderr => io::stderr().write_all(line.as_bytes()),
        };
        drop(written);
    }

    /// Whether what is written there does not disturb another job of the terminal.
    #[must_use]
    pub fn is_foreground(self) -> bool {
        let holder = match self {
            Self::Stdout => rustix::termios::tcgetpgrp(io::stdout()),
            Self::Stderr => rustix::termios::tcgetpgrp(io::stderr()),
        };
        // A terminal that is not this session's has no jobs of ours.
        holder.is_ok_and(|holder| holder == rustix::process::getpgrp())
            || holder == Err(rustix::io::Errno::NOTTY)
    }

    /// Whether a person is looking.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// It is.
    Colours,
    /// It is not.
    Plain,
}

impl Paint {
    /// The choice of `--color` for a stream; `auto` looks for a terminal and `NO_COLOR`.
    #[must_use]
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

    /// Text in a style.
    #[must_use]
    pub fn style(self, style: anstyle::Style, text: &str) -> String {
        match self {
            Self::Colours => format!("{style}{text}{style:#}"),
            Self::Plain => text.to_owned(),
        }
    }

    /// What matters.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.style(anstyle::Style::new().bold(), text)
    }

    /// What worries.
    #[must_use]
    pub fn warning(self, text: &str) -> String {
        self.style(anstyle::AnsiColor::Yellow.on_default().bold(), text)
    }

    /// What failed.
    #[must_use]
    pub fn error(self, text: &str) -> String {
        self.style(anstyle::AnsiColor::Red.on_default().bold(), text)
    }
}

/// Foreign text with its control and bidirectional characters escaped: a query or an
/// application name must not steer the terminal of whoever reads it.
#[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_bidirectional_characters_are_shown_not_obeyed() {
        assert_eq!(
            printable("a\x1b[2Jb\nc\u{202e}d"),
            "a\\u{1b}[2Jb\\nc\\u{202e}d"
        );
        assert_eq!(printable("größer, 你好"), "größer, 你好");
    }
}
