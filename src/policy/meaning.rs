//! The tree of a policy's text as the schema's types: serde asks for what the types have, and
//! what is not so becomes an error that knows its steps.

use super::fault::Step;
use super::tree::{Kept, Node};
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;

/// What is wrong with a value, and the steps to it from the innermost to the outermost.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) steps: Vec<Step>,
}

impl Wrong {
    fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            steps: Vec::new(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let is_scalar = !matches!(found, Unexpected::Seq | Unexpected::Map);
        let found = match found {
            Unexpected::Bool(value) => format!("`{value}` is true or false"),
            Unexpected::Unsigned(number) => format!("`{number}` is a number"),
            Unexpected::Signed(number) => format!("`{number}` is a number"),
            Unexpected::Float(number) => format!("`{number:?}` is a number"),
            Unexpected::Str(text) => format!("`{}` is text", shortened(text)),
            Unexpected::Seq => "a list stands here".to_owned(),
            Unexpected::Map => "a mapping stands here".to_owned(),
            other => format!("{other} stands here"),
        };
        let wanted = match wanted.to_string().as_str() {
            "a boolean" => "true or false".to_owned(),
            "a sequence" => "a list, with one `- ` a line or in brackets,".to_owned(),
            "a string" => "text".to_owned(),
            other => other.to_owned(),
        };
        let quoted = match wanted.as_str() {
            "text" if is_scalar => ", so put it in quotation marks",
            _ => "",
        };
        Self::custom(format!("{found}; {wanted} is wanted{quoted}"))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format!(
            "`{}` is not known; {}",
            shortened(variant),
            allowed(variant, known)
        ))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let is_near = nearest(field, known.iter().copied()).is_some();
        match elsewhere(field).filter(|_| !is_near) {
            Some(key) => Self::custom(format!(
                "there is no such key here; is {key} meant? Allowed here: {}",
                known.join(", ")
            )),
            None => Self::custom(format!("there is no such key; {}", allowed(field, known))),
        }
    }
}

/// What is allowed; first what was probably meant.
fn allowed(given: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(given, known.iter().copied()) {
        Some(near) => format!("is {near} meant? Allowed here: {list}"),
        None => format!("allowed here: {list}"),
    }
}

/// Flags whose keys have other names.
const FLAGS: [(&str, &str); 5] = [
    ("for", "window"),
    ("max", "max_window"),
    ("drain_timeout", "drain.timeout"),
    ("allow_replication", "allow.replication"),
    ("ramp_rate", "ramp.rate"),
];

/// The key of the schema that is meant by one that stands in the wrong place, or bears the
/// name of a flag.
fn elsewhere(given: &str) -> Option<String> {
    let given = given.trim_start_matches("--").replace('-', "_");
    if let Some((_, key)) = FLAGS.iter().find(|(flag, _)| *flag == given) {
        return Some((*key).to_owned());
    }
    let keys = super::schema::keys();
    let mut found = keys
        .into_iter()
        .filter(|key| key.rsplit('.').next() == Some(&given));
    found.next()
}

/// The nearest of some words, if one is near: one letter in three may differ, or the letters'
/// case, or `-` for `_`.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase().replace(['-', ' '], "_");
    // The distance takes time and memory by the product of the lengths.
    if given.len() > 64 {
        return None;
    }
    let distance = |word: &str| strsim::damerau_levenshtein(&given, &word.to_lowercase());
    let near = known.map(|word| (distance(word), word)).min()?;
    let (distance, word) = near;
    let is_part = given.len() >= 3 && word.contains(given.as_str());
    (distance <= word.len().max(3) / 3 || is_part).then_some(word)
}

/// Text for a message: its beginning, if it is long.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Node::Null => Err(de::Error::custom(
                "it has no value; give it one, or remove the key",
            )),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => {
                if let Ok(number) = number.parse() {
                    return visitor.visit_u64(number);
                }
                if let Ok(number) = number.parse() {
                    return visitor.visit_i64(number);
                }
                match number.parse() {
                    Ok(number) => visitor.visit_f64(number),
                    Err(_) => visitor.visit_str(number),
                }
            }
            Node::Text(text) => visitor.visit_str(text),
            Node::List(list) => visitor.visit_seq(Elements { list, next: 0 }),
            Node::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
        }
    }

    /// Every key is optional, and none may stand without a value.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Node::Null => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    /// A section is a mapping; serde would take a list of its values for one, too.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Node::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    /// One of some words.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let word = match self {
            Node::Text(text) => text.clone(),
            Node::Bool(value) => value.to_string(),
            Node::Number(number) => number.clone(),
            Node::Null => return self.deserialize_any(visitor),
            Node::List(_) | Node::Map(_) => {
                let words = known.join(" or ");
                return Err(de::Error::custom(format!("{words} is wanted, as one word")));
            }
        };
        visitor.visit_enum(IntoDeserializer::<Wrong>::into_deserializer(word))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'de> {
    list: &'de [Kept<Node>],
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        while let Some(element) = self.list.get(self.next) {
            let number = self.next;
            self.next += 1;
            if !element.dropped {
                let value = seed.deserialize(&element.node);
                return value
                    .map(Some)
                    .map_err(|wrong| wrong.under(Step::Element(number)));
            }
        }
        Ok(None)
    }
}

struct Entries<'de> {
    entries: &'de [Kept<(Node, Node)>],
    next: usize,
}

impl<'de> Entries<'de> {
    /// The entry whose key was read last.
    fn current(&self) -> (usize, &'de Node, &'de Node) {
        let number = self.next.saturating_sub(1);
        let (key, value) = &self.entries[number].node;
        (number, key, value)
    }

    fn is_there_before(&self, number: usize, wanted: &str) -> bool {
        let earlier = self.entries[..number].iter();
        let mut earlier = earlier.filter(|entry| !entry.dropped);
        earlier.any(|entry| matches!(&entry.node.0, Node::Text(key) if key == wanted))
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        while let Some(entry) = self.entries.get(self.next) {
            self.next += 1;
            if entry.dropped {
                continue;
            }
            let (number, key, _) = self.current();
            let name = name(key);
            let fail = |wrong: Wrong| wrong.under(Step::Entry(number, name.clone(), true));
            let Node::Text(text) = key else {
                return Err(fail(de::Error::custom("a key is a word")));
            };
            if self.is_there_before(number, text) {
                let twice = "the key is there for the second time; keep one of them";
                return Err(fail(de::Error::custom(twice)));
            }
            return seed.deserialize(key).map(Some).map_err(fail);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (number, key, value) = self.current();
        let value = seed.deserialize(value);
        value.map_err(|wrong| wrong.under(Step::Entry(number, name(key), false)))
    }
}

/// A key as a message names it.
fn name(key: &Node) -> String {
    match key {
        Node::Text(text) => shortened(text),
        Node::Number(number) => number.clone(),
        Node::Bool(value) => value.to_string(),
        Node::Null => "null".to_owned(),
        Node::List(_) => "[…]".to_owned(),
        Node::Map(_) => "{…}".to_owned(),
    }
}
