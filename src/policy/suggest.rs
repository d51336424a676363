//! What was probably meant.

use super::schema::{flags, keys};

/// What is allowed; first what was probably meant.
pub(super) fn allowed(given: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(given, known.iter().copied()) {
        Some(near) => format!("is {near} meant? Allowed here: {list}"),
        None => format!("allowed here: {list}"),
    }
}

/// What is said of a key that does not exist.
pub(super) fn no_such_key(given: &str, known: &[&str]) -> String {
    let is_near = nearest(given, known.iter().copied()).is_some();
    match elsewhere(given).filter(|_| !is_near) {
        Some(key) => {
            let list = known.join(", ");
            format!("there is no such key here; is {key} meant? Allowed here: {list}")
        }
        None => format!("there is no such key; {}", allowed(given, known)),
    }
}

/// The key that is meant by one that stands in the wrong place, or bears the name of a flag.
fn elsewhere(given: &str) -> Option<String> {
    let given = given.trim_start_matches("--");
    let is_given = |(_, flag): &(String, String)| *flag == given.replace('_', "-");
    let of_flag = flags().into_iter().find(is_given).map(|(key, _)| key);
    let name = of_flag.unwrap_or_else(|| given.replace('-', "_"));
    let mut paths = keys().into_iter().map(|key| key.path);
    paths.find(|path| path.rsplit('.').next() == Some(&name))
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
