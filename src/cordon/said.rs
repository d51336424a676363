//! Keys of a policy that may be left out, but not stand without a value.

use serde::{Deserialize, Deserializer, de::Error};

/// What is said of a key that stands without a value.
pub const NO_VALUE: &str = "it has no value; give it one, or remove the key";

/// Reads the value of a key that is there.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<T, D::Error> {
    Option::deserialize(source)?.ok_or_else(|| D::Error::custom(NO_VALUE))
}

/// The same for a field that is `None` where the key is left out.
pub fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    source: D,
) -> Result<Option<T>, D::Error> {
    given(source).map(Some)
}
