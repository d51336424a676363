//! A policy from its text, or the first fault of the text.

use super::contradictions::contradiction;
use super::fault::{Fault, Place};
use super::sections::{OTHER_VERSION, Policy};
use super::suggest::{allowed, no_such_key, shortened};
use crate::cordon::NO_VALUE;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny,
    MapAccess, SeqAccess, Visitor,
};
use std::fmt;

/// The longest text of a policy, in bytes: many screens.
pub const LONGEST_TEXT: usize = 64 << 10;

const TOO_LONG: &str = "a policy has 64 KiB at most; a long list of networks has a file of its own, which allow.addresses_file names";

/// What nests costs the parser more than its length.
const MOST_BRACKETS: usize = 2000;

const TOO_MANY_BRACKETS: &str =
    "a policy has 2000 brackets at most; write lists with one `- ` a line";

const TAG: &str = "a policy has no tags; remove the word with `!`, or put text that begins with `!` in quotation marks";

const TWICE: &str = "the key is there for the second time; keep one of them";

/// Reads a policy.
pub fn parse(text: &str) -> Result<Policy, Fault> {
    // Some editors put a byte order mark there; the parser would take it for indentation.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > LONGEST_TEXT {
        return Err(of_the_whole(TOO_LONG));
    }
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    if brackets.count() > MOST_BRACKETS {
        return Err(of_the_whole(TOO_MANY_BRACKETS));
    }
    serde_yaml::from_str::<IgnoredAny>(text).map_err(|error| of_syntax(text, &error))?;
    // Whatever else is wrong is told better by the types of the sections.
    if let Some(tagged) = read::<Untagged>(text).err().filter(|fault| fault.message == TAG) {
        return Err(tagged);
    }
    let policy = read(text)?;
    match contradiction(&policy) {
        None => Ok(policy),
        Some((key, message)) => {
            Err(Fault { place: place_of_value(text, key, 0), key: key.to_owned(), message })
        }
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let source = serde_yaml::Deserializer::from_str(text);
    serde_path_to_error::deserialize(source)
        .map_err(|error| of_value(text, &error.path().to_string(), error.inner()))
}

/// A text without YAML's tags: where a type wants no enum, serde_yaml passes over them.
struct Untagged;

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Untagged {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Self, A::Error> {
        Err(A::Error::custom(TAG))
    }
}

fn of_the_whole(message: &str) -> Fault {
    Fault { place: Place::START, key: String::new(), message: message.to_owned() }
}

/// What the parser says where the text is no YAML.
fn of_syntax(text: &str, error: &serde_yaml::Error) -> Fault {
    let mut place = Place::of(error);
    let whole = error.to_string();
    // The place is told before. What follows it is what the parser was doing, with a place of
    // its own.
    let message = match whole.split_once(" at line ") {
        Some((what, rest)) => match rest.split_once(", ") {
            Some((_, doing)) => format!("{what}, {doing}"),
            None => what.to_owned(),
        },
        None => whole,
    };
    let message = if message.contains("more than one document") {
        "a second document begins after a line with `---`; a policy is one".to_owned()
    } else if let Some((what, position)) = message.split_once(" at position ") {
        place = position.parse().map_or(place, |at| place_of_byte(text, at));
        format!("this is not YAML: {what}")
    } else {
        let advice = advice(text, place, &message);
        format!("this is not YAML: {message}{advice}")
    };
    Fault { place, ..of_the_whole(&message) }
}

/// What to do about a fault of syntax that users of YAML meet often.
fn advice(text: &str, place: Place, message: &str) -> String {
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    let character = line.chars().nth(place.column - 1);
    match character {
        Some('\t') => "; indent with spaces, not with tabs".to_owned(),
        Some(c @ ('@' | '`' | '%')) if message.contains("cannot start any token") => {
            format!("; text that begins with {c} stands in quotation marks")
        }
        Some(':') if message.contains("unexpected ':'") => {
            "; what ends in a colon stands in quotation marks".to_owned()
        }
        Some(':') if message.contains("mapping values") => {
            "; look at the indentation, and put text that holds `: ` in quotation marks".to_owned()
        }
        _ => String::new(),
    }
}

/// The place of a byte, which is less than the text has.
fn place_of_byte(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() }
}

/// What serde says of a value or a key, in words for those who write policies.
fn of_value(text: &str, path: &str, error: &serde_yaml::Error) -> Fault {
    let path = if path == "." { "" } else { path };
    let mut fault = Fault {
        place: Place::of(error),
        key: shortened(path),
        message: without_place(path, error),
    };
    let said = fault.message.clone();
    let quoted = |start: &str| said.strip_prefix(start)?.split_once("`, expected ");
    if let Some((key, known)) = quoted("unknown field `") {
        fault.message = no_such_key(key, &words(known));
    } else if let Some((word, known)) = quoted("unknown variant `") {
        let word_shown = shortened(word);
        fault.message = format!("`{word_shown}` is not known; {}", allowed(word, &words(known)));
    } else if let Some(key) = said.strip_prefix("duplicate field `") {
        let dot = if path.is_empty() { "" } else { "." };
        fault.key = format!("{path}{dot}{}", key.trim_end_matches('`'));
        fault.place = place_of_value(text, &fault.key, 1);
        fault.message = TWICE.to_owned();
    } else if said == NO_VALUE || said == OTHER_VERSION {
        // What our own types refuse has the place of the section.
        fault.place = place_of_value(text, path, 0);
    } else if said == "missing field `version`" {
        return of_the_whole("the key version is missing; begin with `version: 1`");
    } else if said.starts_with("``") {
        fault.message = NO_VALUE.to_owned();
    } else if said.ends_with("expected field identifier") {
        fault.key = path.trim_end_matches(['.', '?']).to_owned();
        fault.message = "a key is a word".to_owned();
    } else if said == "invalid IP address syntax" {
        fault.message = "this is not an address; write it like 127.0.0.1 or ::1".to_owned();
    } else if let Some((found, wanted)) =
        said.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    {
        fault.message = of_type(found, wanted);
    }
    fault
}

/// The message alone: the parser puts the path before it, and the place behind it.
fn without_place(path: &str, error: &serde_yaml::Error) -> String {
    let whole = error.to_string();
    let message = match whole.rfind(" at line ") {
        Some(end) => &whole[..end],
        None => &whole,
    };
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
    let parts = ends.chain([path.len()]).map(|end| &path[..end]);
    let mut starts = parts.filter_map(|part| message.strip_prefix(part)?.strip_prefix(": "));
    starts.next().unwrap_or(message).to_owned()
}

/// The words that serde names between backticks.
fn words(known: &str) -> Vec<&str> {
    known.split('`').skip(1).step_by(2).collect()
}

fn of_type(found: &str, wanted: &str) -> String {
    let value = found.split_once(['`', '"']).map_or("", |(_, value)| value);
    let value = shortened(value.trim_end_matches(['`', '"']));
    let is_no_text = ["integer", "floating point", "boolean"];
    let is_no_text = is_no_text.iter().any(|kind| found.starts_with(kind));
    let found = match found {
        "sequence" => "a list stands here".to_owned(),
        "map" => "a mapping stands here".to_owned(),
        "unit value" => "there is no value here".to_owned(),
        text if text.starts_with("string ") => format!("`{value}` is text"),
        truth if truth.starts_with("boolean ") => format!("`{value}` is true or false"),
        _ => format!("`{value}` is a number"),
    };
    let wanted = match wanted {
        "a boolean" => "true or false",
        "a sequence" => "a list, with one `- ` a line or in brackets,",
        "a string" if is_no_text => {
            return format!("{found}; where text is meant, put it into quotes");
        }
        "a string" => "text",
        "a YAML tag starting with '!'" => "one word",
        section if section.starts_with("struct ") => "a mapping of keys to values",
        other => other,
    };
    format!("{found}; {wanted} is wanted")
}

/// Where the value of a key stands that the text has so many times before. The parser tells
/// the places of errors only, and so it is made to fail there.
fn place_of_value(text: &str, key: &str, before: usize) -> Place {
    let keys: Vec<&str> = key.split('.').collect();
    let refusal = RefuseAt { keys: &keys, before };
    match refusal.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Err(error) => Place::of(&error),
        Ok(()) => Place::START,
    }
}

/// Refuses the value that these keys lead to, whatever it is.
struct RefuseAt<'a> {
    keys: &'a [&'a str],
    /// How many values of the last key are passed over.
    before: usize,
}

impl<'de> DeserializeSeed<'de> for RefuseAt<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RefuseAt<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let Some((wanted, keys)) = self.keys.split_first() else {
            return Err(A::Error::custom("refused"));
        };
        while let Some(key) = map.next_key::<String>()? {
            let is_last = keys.is_empty();
            if key != *wanted || is_last && self.before > 0 {
                self.before -= usize::from(key == *wanted);
                map.next_value::<IgnoredAny>()?;
            } else {
                let before = self.before;
                return map.next_value_seed(RefuseAt { keys, before });
            }
        }
        Ok(())
    }
}
