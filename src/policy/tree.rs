//! YAML into a tree: what was written, before anybody asks what it means. Bad syntax and
//! texts that would cost more than a policy is worth end here.

use super::fault::{Fault, Place};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// The longest text of a policy, in bytes.
pub const LONGEST_TEXT: usize = 1 << 20;

/// The most signs of structure in a text. The parser keeps up to 400 bytes for each; a pass
/// list that is as long as a pass list may be has 100,000.
const MOST_SIGNS: usize = 120_000;

/// The most brackets and braces: libyaml's time grows with the square of their depth.
const MOST_BRACKETS: usize = 2_000;

/// The most directives: libyaml compares each with all others.
const MOST_DIRECTIVES: usize = 10;

/// The most values after aliases were followed.
const MOST_VALUES: usize = 150_000;

/// The most bytes of keys and values after aliases were followed.
const MOST_BYTES: usize = 2 * LONGEST_TEXT;

/// A value as it was written.
#[derive(Debug)]
pub(super) enum Node {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written most simply.
    Number(String),
    /// Everything else that is one value.
    Text(String),
    /// A list.
    List(Vec<Kept<Node>>),
    /// Keys with values, in the order in which they were written.
    Map(Vec<Kept<(Node, Node)>>),
}

/// A part of the tree, which is left out once it has been found faulty.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) node: T,
    pub(super) dropped: bool,
}

impl<T> From<T> for Kept<T> {
    fn from(node: T) -> Self {
        Self {
            node,
            dropped: false,
        }
    }
}

/// The tree of a text.
///
/// # Errors
/// The first fault of syntax, or that the text is too much.
pub(super) fn tree(text: &str) -> Result<Node, Fault> {
    screen(text)?;
    let limits = Limits {
        values: Cell::new(MOST_VALUES),
        bytes: Cell::new(MOST_BYTES),
    };
    let tree = Seed(&limits).deserialize(serde_yaml::Deserializer::from_str(text));
    tree.map_err(|error| fault(text, &error))
}

/// Refuses in one look at the text what the parser would need too much memory or time for.
fn screen(text: &str) -> Result<(), Fault> {
    if text.len() > LONGEST_TEXT {
        return Err(too_much("it has more than 1 MiB"));
    }
    let bytes = text.as_bytes();
    let (mut signs, mut brackets, mut directives) = (0, 0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        let ends_here = || matches!(bytes.get(at + 1), None | Some(b' ' | b'\t' | b'\n' | b'\r'));
        match byte {
            b'[' | b'{' => {
                signs += 1;
                brackets += 1;
            }
            b',' => signs += 1,
            b'-' | b'?' | b':' if ends_here() => signs += 1,
            b'%' if at == 0 || matches!(bytes[at - 1], b'\n' | b'\r') => directives += 1,
            _ => {}
        }
    }
    if signs > MOST_SIGNS {
        return Err(too_much(
            "it has more keys and values than a policy can have; 100,000 networks are the most",
        ));
    }
    if brackets > MOST_BRACKETS {
        return Err(too_much(
            "it has more than 2000 brackets; write lists with one `- ` a line",
        ));
    }
    if directives > MOST_DIRECTIVES {
        return Err(too_much("it has more than 10 lines that begin with %"));
    }
    Ok(())
}

fn too_much(message: &str) -> Fault {
    Fault {
        place: Place::START,
        key: String::new(),
        message: message.to_owned(),
    }
}

/// What the parser says, without the place, which is told before.
fn fault(text: &str, error: &serde_yaml::Error) -> Fault {
    let mut message = error.to_string();
    if let Some(first) = message.find(" at line ") {
        // What follows the first place is what it was doing there, with a place of its own.
        let rest = message[first..].split_once(", ").map(|(_, rest)| rest);
        message = match rest {
            Some(rest) => format!("{}, {rest}", &message[..first]),
            None => message[..first].to_owned(),
        };
    }
    let mut place = error.location().map_or(Place::START, Place::from);
    // Where a message of ours was found, the parser puts its own path in front.
    if let Some((_, ours)) = message.split_once(OURS) {
        message = ours.to_owned();
    } else if message.contains("more than one document") {
        place = second_document(text);
        message = "a second document begins here; a policy is one".to_owned();
    } else if let Some((what, position)) = message.split_once(" at position ") {
        place = position.parse().map_or(place, |at| place_of_byte(text, at));
        message = format!("this is not YAML: {what}");
    } else {
        let advice = advice(text, place, &message);
        message = format!("this is not YAML: {message}{advice}");
    }
    Fault {
        place,
        key: String::new(),
        message,
    }
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
    Place {
        line: 1 + before.matches('\n').count(),
        column: 1 + line.chars().count(),
    }
}

/// The line that ends the first document, by its marker.
fn second_document(text: &str) -> Place {
    let is_marker = |line: &&str| {
        let end = line.get(3..).and_then(|rest| rest.chars().next());
        (line.starts_with("---") || line.starts_with("...")) && end.is_none_or(char::is_whitespace)
    };
    let mut seen_any = false;
    for (number, line) in (1..).zip(text.lines()) {
        if seen_any && is_marker(&line) {
            return Place {
                line: number,
                column: 1,
            };
        }
        let begins = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        seen_any |= begins && !line.starts_with('%');
    }
    Place::START
}

/// Marks a message of this file among the parser's own; no text can hold it, since control
/// characters are refused by the parser.
const OURS: char = '\u{1}';

fn ours<E: Error>(message: &str) -> E {
    E::custom(format!("{OURS}{message}"))
}

/// What may still be read.
struct Limits {
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Limits {
    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let left = (
            self.values.get().checked_sub(1),
            self.bytes.get().checked_sub(bytes),
        );
        let (Some(values), Some(bytes)) = left else {
            return Err(ours(
                "with its aliases followed it has more values than a policy can have",
            ));
        };
        self.values.set(values);
        self.bytes.set(bytes);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a Limits);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.0.spend(0)?;
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.0.spend(0)?;
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.visit_i128(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.visit_i128(value.into())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.0.spend(0)?;
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.0.spend(0)?;
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.0.spend(0)?;
        // With its point: 1.0 is not 1.
        Ok(Node::Number(format!("{value:?}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.0.spend(value.len())?;
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.0.spend(0)?;
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(self)? {
            nodes.push(node.into());
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.0.spend(0)?;
        let mut nodes = Vec::new();
        while let Some(entry) = map.next_entry_seed(self, self)? {
            nodes.push(entry.into());
        }
        Ok(Node::Map(nodes))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(ours("a policy has no tags, which begin with `!`"))
    }
}
