//! The reason of a window: free text that must survive nftables' own syntax.

use std::fmt;

/// The longest reason, in characters. A rule's comment holds 127 bytes
/// (libnftnl's `NFTNL_UDATA_COMMENT_MAXLEN`), `nft -f` takes 128.
const LONGEST: usize = 100;

/// A text of at most 100 printable ASCII characters without a quotation mark.
///
/// `nft` has no escape for a quotation mark in a comment: a saved ruleset that
/// held one could not be loaded again.
#[derive(
    Debug, Clone, PartialEq, Eq, serde_with::SerializeDisplay, serde_with::DeserializeFromStr,
)]
pub struct Reason(String);

/// Why a text cannot be a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// More than 100 characters.
    #[error("the reason has {0} characters; {LONGEST} are the most that fit beside a rule")]
    TooLong(usize),
    /// A character that `nft` could not load again.
    #[error(
        "the reason holds {0:?}; only printable ASCII characters without a quotation mark can stand beside a rule"
    )]
    Unprintable(char),
}

impl Reason {
    /// Takes a text over if nftables can hold it.
    pub fn new(text: &str) -> Result<Self, ReasonError> {
        if let Some(bad) = text
            .chars()
            .find(|&c| !(' '..='~').contains(&c) || c == '"')
        {
            return Err(ReasonError::Unprintable(bad));
        }
        if text.len() > LONGEST {
            return Err(ReasonError::TooLong(text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_characters_fit_and_one_more_does_not() {
        assert!(Reason::new(&"x".repeat(100)).is_ok());
        assert_eq!(
            Reason::new(&"x".repeat(101)),
            Err(ReasonError::TooLong(101))
        );
    }

    #[test]
    fn what_nft_cannot_load_again_is_refused() {
        for bad in [
            "a\"b",
            "tab\there",
            "new\nline",
            "nul\0",
            "größer",
            "\u{202e}",
        ] {
            assert!(
                matches!(Reason::new(bad), Err(ReasonError::Unprintable(_))),
                "{bad:?}"
            );
        }
    }
}
