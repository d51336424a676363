//! A policy from its text: the first fault of syntax, or all faults of meaning together.

use super::contradictions::contradictions;
use super::fault::{Fault, Step, key_path};
use super::locate::locate;
use super::meaning::Wrong;
use super::schema::{Policy, VERSION};
use super::tree::{Node, tree};
use serde::Deserialize;

/// How many faults are told at once; each costs another look at the text.
const MOST_FAULTS: usize = 20;

/// Reads a policy.
///
/// # Errors
/// The first fault of syntax, or the first 20 faults of meaning in the order of the text.
pub fn parse(text: &str) -> Result<Policy, Vec<Fault>> {
    // Some editors put a byte order mark there; the parser would take it for indentation.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = tree(text).map_err(|fault| vec![fault])?;
    check_version(&tree).map_err(|wrong| vec![fault(text, wrong)])?;
    let mut faults = Vec::new();
    let policy = loop {
        match Policy::deserialize(&tree) {
            Ok(policy) => break policy,
            Err(wrong) => {
                let dropped = tree.drop(&wrong.steps);
                faults.push(fault(text, wrong));
                if faults.len() == MOST_FAULTS {
                    return Err(and_perhaps_more(sorted(faults)));
                }
                if !dropped {
                    return Err(sorted(faults));
                }
            }
        }
    };
    for (names, message) in contradictions(&policy, |names| tree.steps(names).is_some()) {
        let steps = tree.steps(&names).unwrap_or_default();
        faults.push(Fault {
            place: locate(text, &steps),
            key: key_path(&steps),
            message,
        });
    }
    match faults.is_empty() {
        true => Ok(policy),
        false => Err(sorted(faults)),
    }
}

/// A policy as text that [`parse`] reads as the same policy.
///
/// # Errors
/// None that a policy can cause: every value of it has a form in YAML.
pub fn print(policy: &Policy) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(policy)
}

/// Says that the rest was not looked at.
fn and_perhaps_more(mut faults: Vec<Fault>) -> Vec<Fault> {
    if let Some(last) = faults.last() {
        faults.push(Fault {
            message: format!(
                "this is fault {MOST_FAULTS}, and there may be more; mend these and check again"
            ),
            ..last.clone()
        });
    }
    faults
}

fn sorted(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.place);
    faults
}

fn fault(text: &str, mut wrong: Wrong) -> Fault {
    wrong.steps.reverse();
    Fault {
        place: locate(text, &wrong.steps),
        key: key_path(&wrong.steps),
        message: wrong.message,
    }
}

/// The version comes first: of a text in another format nothing else can be said.
fn check_version(tree: &Node) -> Result<(), Wrong> {
    let wrong = |message: String, steps| Err(Wrong { message, steps });
    let Node::Map(_) = tree else {
        let message = match tree {
            Node::Null => "the policy is empty; `version: 1` is the least",
            _ => "a policy is a mapping of keys to values, the first of which is `version: 1`",
        };
        return wrong(message.to_owned(), Vec::new());
    };
    match tree.child("version") {
        None => wrong(
            format!("the key version is missing; begin with `version: {VERSION}`"),
            Vec::new(),
        ),
        Some((_, Node::Number(number))) if *number == VERSION.to_string() => Ok(()),
        Some((step, _)) => wrong(
            format!("this pgcordon reads version {VERSION}; write `version: {VERSION}`"),
            vec![step],
        ),
    }
}

impl Node {
    /// The first value of this name in a mapping, with the step to it.
    fn child(&self, name: &str) -> Option<(Step, &Node)> {
        let Node::Map(entries) = self else {
            return None;
        };
        let named = |(number, entry): (usize, &super::tree::Kept<(Node, Node)>)| {
            let (key, _) = &entry.node;
            matches!(key, Node::Text(key) if key == name).then_some(number)
        };
        let number = entries.iter().enumerate().find_map(named)?;
        let step = Step::Entry(number, name.to_owned(), false);
        Some((step, &entries[number].node.1))
    }

    /// The steps to what these names lead to, whether it is faulty or not.
    fn steps(&self, names: &[&str]) -> Option<Vec<Step>> {
        let mut node = self;
        let mut steps = Vec::new();
        for name in names {
            match (node, name.parse()) {
                (Node::List(list), Ok(number)) => {
                    node = &list.get::<usize>(number)?.node;
                    steps.push(Step::Element(number));
                }
                _ => {
                    let (step, child) = node.child(name)?;
                    node = child;
                    steps.push(step);
                }
            }
        }
        Some(steps)
    }

    /// Leaves out what these steps lead to, given from the innermost to the outermost.
    /// Whether there was anything.
    fn drop(&mut self, steps: &[Step]) -> bool {
        match (self, steps.split_last()) {
            (Node::List(list), Some((Step::Element(number), rest))) => {
                let Some(element) = list.get_mut(*number) else {
                    return false;
                };
                match rest {
                    [] => !std::mem::replace(&mut element.dropped, true),
                    rest => element.node.drop(rest),
                }
            }
            (Node::Map(entries), Some((Step::Entry(number, ..), rest))) => {
                let Some(entry) = entries.get_mut(*number) else {
                    return false;
                };
                match rest {
                    [] => !std::mem::replace(&mut entry.dropped, true),
                    rest => entry.node.1.drop(rest),
                }
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let policy = parse("\u{feff}version: 1\nwindow: 5s\n").unwrap();
        assert_eq!(policy, parse("version: 1\nwindow: 5s\n").unwrap());
        let faults = parse("\u{feff}version: 1\nwindwo: 5s\n").unwrap_err();
        assert!(faults[0].to_string().starts_with("2:1"), "{}", faults[0]);
    }
}
