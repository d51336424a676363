//! Where in a text a value stands. The parser tells the place of an error only; so for a fault
//! of meaning the text is read once more, and made to fail at the value that is meant.

use super::fault::{Place, Step};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;

/// The place of the value (or key) that these steps lead to; the text's beginning if they do
/// not.
pub(super) fn locate(text: &str, steps: &[Step]) -> Place {
    if steps.is_empty() {
        // It is about the whole; the parser would name its end where it is empty.
        return Place::START;
    }
    let found = Way(steps).deserialize(serde_yaml::Deserializer::from_str(text));
    let place = found.err().and_then(|error| error.location());
    place.map_or(Place::START, Place::from)
}

/// The steps that are left.
struct Way<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Way<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The end of the way: the error's place is what is looked for.
fn here<T, E: Error>() -> Result<T, E> {
    Err(E::custom("here"))
}

impl<'de> Visitor<'de> for Way<'_> {
    type Value = ();

    // What is no list or mapping ends in the error that a visitor gives by itself.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another step")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((Step::Element(wanted), rest)) = self.0.split_first() else {
            return here();
        };
        for _ in 0..*wanted {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Way(rest))?;
        here()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Entry(wanted, _, is_key), rest)) = self.0.split_first() else {
            return here();
        };
        for _ in 0..*wanted {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if *is_key {
            map.next_key_seed(Way(&[]))?;
        } else {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Way(rest))?;
        }
        here()
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        here()
    }
}
