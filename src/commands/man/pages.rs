//! The pages as roff: what clap knows of each command, and what it cannot know.

use super::text::{self, Entry};
use crate::cli::Cli;
use crate::failure::{Exit, Kind};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

/// System administration commands.
const SECTION: &str = "8";

/// One page.
pub struct Page {
    /// `pgcordon-start.8`.
    pub file_name: String,
    /// Its text.
    pub roff: Vec<u8>,
}

/// Every page: pgcordon's own first.
pub fn all() -> Vec<Page> {
    let mut root = Cli::command().disable_help_subcommand(true);
    // Flags of every command reach the commands, and each learns its full name.
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    let names: Vec<String> = commands.iter().map(name).collect();
    let pages = commands.iter().map(|command| page(command, &names));
    pages.collect()
}

/// A command and all below it, those that are hidden left out.
fn collect(command: &Command, found: &mut Vec<Command>) {
    found.push(command.clone());
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        collect(below, found);
    }
}

/// `pgcordon-policy-check`.
fn name(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    name.to_owned()
}

fn page(command: &Command, names: &[String]) -> Page {
    let own = name(command);
    let is_root = own == names[0];
    let man = Man::new(command.clone())
        .title(own.to_uppercase())
        .section(SECTION)
        // No date, so that the same version gives the same page; an empty one would be left out.
        .date(" ")
        .source(format!("pgcordon {}", env!("CARGO_PKG_VERSION")))
        .manual("System administration");
    let mut roff = Vec::new();
    // Nothing here can fail: a vector takes what is written.
    let _ = man
        .render_title(&mut roff)
        .and_then(|()| man.render_name_section(&mut roff))
        .and_then(|()| man.render_synopsis_section(&mut roff))
        .and_then(|()| man.render_description_section(&mut roff));
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        let _ = man.render_options_section(&mut roff);
    }
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut roff);
    }
    let mut rest = Roff::new();
    if is_root {
        of_the_whole(&mut rest);
    } else {
        examples(&mut rest, command);
        rest.control("SH", ["EXIT STATUS"]);
        rest.text([
            roman("See "),
            bold(&names[0]),
            roman("(8), which also has the errors, files, and how to open a port by hand."),
        ]);
    }
    see_also(&mut rest, &own, names);
    let _ = rest.to_writer(&mut roff);
    Page { file_name: man.get_filename(), roff }
}

/// What stands on pgcordon's own page alone.
fn of_the_whole(roff: &mut Roff) {
    heading(roff, "EXIT STATUS", &[]);
    for exit in Exit::ALL {
        entry(roff, &exit.status().to_string(), exit.meaning());
    }
    heading(roff, "ERRORS", &text::ERRORS);
    for kind in Kind::ALL {
        entry(roff, kind.as_str(), kind.meaning());
    }
    heading(roff, "ENVIRONMENT", &[]);
    entries(roff, &text::ENVIRONMENT);
    heading(roff, "FILES", &[]);
    entries(roff, &text::FILES);
    heading(roff, "OPENING A PORT BY HAND", &text::BY_HAND);
    literal(roff, text::BY_HAND_COMMANDS);
    heading(roff, "REQUIREMENTS", &text::REQUIREMENTS);
    heading(roff, "EXAMPLES", &[]);
    literal(roff, text::EXAMPLES);
}

/// The examples that `--help` ends with.
fn examples(roff: &mut Roff, command: &Command) {
    let Some(after) = command.get_after_help() else {
        return;
    };
    let after = after.to_string();
    match after.split_once('\n') {
        Some(("Examples:", lines)) => {
            roff.control("SH", ["EXAMPLES"]);
            literal(roff, lines);
        }
        _ => {
            roff.control("SH", ["NOTES"]);
            literal(roff, &after);
        }
    }
}

fn heading(roff: &mut Roff, title: &str, paragraphs: &[&str]) {
    roff.control("SH", [title]);
    for (number, paragraph) in paragraphs.iter().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
}

fn entries(roff: &mut Roff, list: &[Entry]) {
    for (term, meaning) in list {
        entry(roff, term, meaning);
    }
}

fn entry(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(meaning)]);
}

/// Lines as they are.
fn literal(roff: &mut Roff, lines: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    roff.control("RS", ["4"]);
    for line in lines.lines() {
        match line.strip_prefix("  ").unwrap_or(line) {
            "" => roff.control("sp", []),
            line => roff.text([roman(line)]),
        };
    }
    roff.control("RE", []);
    roff.control("fi", []);
}

fn see_also(roff: &mut Roff, own: &str, names: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    let others = names.iter().filter(|name| *name != own);
    let others = others.map(|name| (name.as_str(), SECTION));
    let mut words = Vec::new();
    for (name, section) in others.chain(text::SEE_ALSO) {
        if !words.is_empty() {
            words.push(roman(", "));
        }
        words.push(italic(name));
        words.push(roman(format!("({section})")));
    }
    roff.text(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(page: &Page) -> String {
        String::from_utf8(page.roff.clone()).unwrap()
    }

    #[test]
    fn every_command_has_a_page_that_names_all_its_flags() {
        let pages = all();
        for command in Cli::command().get_subcommands() {
            let file = format!("pgcordon-{}.8", command.get_name());
            let page = pages.iter().find(|page| page.file_name == file);
            let text = text_of(page.unwrap_or_else(|| panic!("no {file}")));
            for flag in command.get_arguments().filter_map(|arg| arg.get_long()) {
                let flag = format!("--{flag}").replace('-', "\\-");
                assert!(text.contains(&flag), "{flag} is missing in {file}");
            }
        }
    }

    #[test]
    fn the_page_of_the_whole_comes_first_and_names_every_error() {
        let pages = all();
        assert_eq!(pages[0].file_name, "pgcordon.8");
        let text = text_of(&pages[0]);
        for kind in Kind::ALL {
            let kind = kind.as_str().replace('-', "\\-");
            assert!(text.contains(&kind), "{kind} is missing");
        }
    }

    #[test]
    fn examples_are_taken_from_the_help() {
        let pages = all();
        let start = pages.iter().find(|page| page.file_name == "pgcordon-start.8");
        let text = text_of(start.unwrap());
        assert!(text.contains(".SH EXAMPLES\n"), "{text}");
        assert!(text.contains("\npgcordon start \\-\\-for 10m\n"), "{text}");
    }
}
