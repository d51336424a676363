//! Bad input: status 2, one clear line and a hint, nothing touched.

use crate::lab::{Lab, Outcome, START};

/// What is given, and what the message must name.
type Mistake = (Vec<String>, Vec<&'static str>);

fn mistake(words: &[&str], named: &[&'static str]) -> Mistake {
    let words = words.iter().map(ToString::to_string);
    (words.collect(), named.to_vec())
}

/// A mistake in the value of one flag of start.
fn start(flag: &str, value: &str, named: &[&'static str]) -> Mistake {
    let value = format!("{flag}={value}");
    mistake(&["start", "--for", "10m", "--no-drain", &value], named)
}

fn length(value: &str, named: &[&'static str]) -> Mistake {
    mistake(&["start", "--no-drain", "--for", value], named)
}

/// Fails unless each of them is refused in text and in JSON alike, and the ruleset is what
/// it was, another program's rules and a window on another port included.
fn assert_refused(lab: &Lab, mistakes: Vec<Mistake>) {
    let server = &lab.server;
    server.nft("table inet other { chain in { type filter hook input priority 0; }; }");
    server.cordon("start --for 10m --no-drain --no-guard --port 5555");
    let ruleset = || server.run(["nft", "-s", "list", "ruleset"]).stdout;
    let before = ruleset();
    for (words, named) in mistakes {
        let json = server.tool().args(&words).args(["--output", "json"]).run();
        let error = &json.assert_status(2).json()["error"];
        let kind = error["kind"].as_str().expect("a kind");
        let message = json.assert_failure(2, kind);
        let short = server.tool().args(&words).args(["-ojson"]).run();
        assert_eq!(short.stdout, json.stdout);

        let said = server.pgcordon(&words);
        assert_eq!(said.assert_status(2).stdout, "", "{said}");
        assert_eq!(said.stderr, json.stderr, "{said}");
        let hint = error["hint"].as_str().expect("a hint");
        for text in &named {
            let there = message.contains(text) || hint.contains(text);
            assert!(there, "{text:?} expected of {said}");
        }
        assert_clean(&said);
    }
    assert_eq!(ruleset(), before);
}

/// Nothing but printable text, and no pointer to a usage that is not shown.
fn assert_clean(said: &Outcome) {
    let printable = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    assert!(said.stderr.chars().all(printable), "{said}");
    assert!(!said.stderr.contains("panicked"), "{said}");
}

#[test]
fn durations() {
    let lab = Lab::bare(0);
    let extend = |value: &str, named: &[&'static str]| mistake(&["extend", "--by", value], named);
    assert_refused(
        &lab,
        vec![
            length("10", &["`10` has no unit", "10s", "10m"]),
            length("0", &["no unit"]),
            length("0s", &["at least 1s"]),
            length("500ms", &["at least 1s"]),
            length("-5m", &["-5m", "negative"]),
            length("-5", &["-5"]),
            length("", &["10m"]),
            length("soon", &["soon", "10m"]),
            length("10m10", &["10m10"]),
            length("1,5h", &["1,5h"]),
            length("999999999999999999999h", &["10m"]),
            length("25h", &["1day", "--max"]),
            length("24h1s", &["--max"]),
            mistake(&["start", "--for", "3d", "--max", "2d", "--no-drain"], &["--max"]),
            mistake(&["start", "--for", "10m", "--max", "10"], &["no unit"]),
            mistake(&["start", "--for", "10m", "--farewell", "2"], &["no unit"]),
            mistake(&["start", "--for", "10m", "--drain-timeout=-2s"], &["negative"]),
            mistake(&["start", "--for", "10m", "--for", "20m"], &["--for"]),
            mistake(&["start", "--no-drain"], &["--for"]),
            extend("5", &["no unit"]),
            extend("0s", &["at least 1s"]),
            extend("-5m", &["negative"]),
            mistake(&["extend"], &["--by"]),
            mistake(&["extend", "--by", "1m", "--for", "1m"], &["--by", "--for"]),
        ],
    );
}

#[test]
fn ramps() {
    let lab = Lab::bare(0);
    let rate = |value: &str, named: &[&'static str]| {
        let rate = format!("--ramp-rate={value}");
        let words = ["start", "--for", "10m", "--no-drain", "--ramp", "1m", &rate];
        mistake(&words, named)
    };
    assert_refused(
        &lab,
        vec![
            start("--ramp", "30", &["`30` has no unit", "30s"]),
            start("--ramp", "500ms", &["at least 1s"]),
            start("--ramp", "24h1s", &["a day"]),
            start("--ramp", "30d", &["a day"]),
            start("--ramp", "-1m", &["negative"]),
            start("--ramp-rate", "10/s", &["--ramp"]),
            rate("10", &["`10` has no unit", "10/s"]),
            rate("0/s", &["1/s is the least"]),
            rate("-1/s", &["10/s"]),
            rate("10/m", &["10/s"]),
            rate("1.5/s", &["10/s"]),
            rate("1000001/s", &["1000000/s"]),
            rate("fast", &["fast", "10/s"]),
            mistake(&["lift", "--ramp", "25h"], &["a day"]),
            mistake(&["lift", "--ramp", "5"], &["no unit"]),
            mistake(&["lift", "--ramp-rate", "5/s"], &["--ramp"]),
            mistake(&["lift", "--ramp", "--ramp-rate", "5"], &["no unit"]),
            mistake(&["extend", "--by", "1m", "--ramp", "1m"], &["--ramp"]),
        ],
    );
}

#[test]
fn ports() {
    let lab = Lab::bare(0);
    let named = |value: &str| start("--port", value, &["--port"]);
    let mut mistakes: Vec<_> =
        ["0", "65536", "-1", "5432,5433", "postgresql", "", "5432 "].map(named).into();
    for command in ["lift", "status"] {
        mistakes.push(mistake(&[command, "--port", "0"], &["--port"]));
        mistakes.push(mistake(&[command, "--port", "65536"], &["65535"]));
    }
    mistakes.push(mistake(&["lift", "--all", "--port", "5555"], &["--all", "--port"]));
    assert_refused(&lab, mistakes);
}

#[test]
fn reasons() {
    let lab = Lab::bare(0);
    let reason = |value: &str, named: &[&'static str]| start("--reason", value, named);
    assert_refused(
        &lab,
        vec![
            reason(&"x".repeat(101), &["101", "100"]),
            reason(&"x".repeat(5000), &["5000"]),
            reason("two\nlines", &["\\n"]),
            reason("a\ttab", &["\\t"]),
            reason("a \u{1b}[31mred\u{1b}[0m word", &["reason"]),
            reason("a \"quoted\" word", &["quotation mark"]),
            reason("größer", &["reason"]),
            reason("\u{202e}backwards", &["reason"]),
            reason("\u{7f}", &["reason"]),
        ],
    );
}

#[test]
fn pass_lists() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/bad", "10.0.0.1\n# a comment\n\n10.0.0.0/33 # too long\n");
    server.write("/run/everything", "10.0.0.1\n0.0.0.0/0\n");
    server.write("/run/halves", "0.0.0.0/1\n128.0.0.0/1\n");
    server.write("/run/binary", [0xff, 0xfe, 0x00, b'\n']);
    let allow = |value: &str, named: &[&'static str]| start("--allow", value, named);
    assert_refused(
        &lab,
        vec![
            allow("0.0.0.0/0", &["0.0.0.0/0", "every address"]),
            allow("::/0", &["::/0", "every address"]),
            allow("10.0.0.1/0", &["every address"]),
            allow("nonsense", &["nonsense", "10.0.0.0/24"]),
            allow("10.0.0.300", &["10.0.0.300"]),
            allow("10.0.0.0/33", &["10.0.0.0/33"]),
            allow("10.0.0.1:5432", &["10.0.0.1:5432"]),
            allow("localhost", &["localhost"]),
            allow("", &["10.0.0.5"]),
            allow("@/run/missing", &["/run/missing"]),
            allow("@/run", &["/run"]),
            allow("@", &["@FILE"]),
            allow("@/run/bad", &["/run/bad:4", "10.0.0.0/33"]),
            allow("@/run/everything", &["/run/everything:2", "every address"]),
            allow("@/run/halves", &["every address"]),
            allow("@/run/binary", &["/run/binary"]),
            mistake(&["allow", "nonsense"], &["nonsense"]),
            mistake(&["allow", "@/run/bad"], &["/run/bad:4"]),
            mistake(&["allow", "0.0.0.0/0"], &["every address"]),
            mistake(&["allow", "0.0.0.0/1", "128.0.0.0/1"], &["every address"]),
            mistake(&["allow"], &["ADDR"]),
        ],
    );
}

#[test]
fn words_and_flags_that_do_not_exist() {
    let lab = Lab::bare(0);
    assert_refused(
        &lab,
        vec![
            mistake(&["begin"], &["begin"]),
            mistake(&["strat", "--for", "10m"], &["start"]),
            mistake(&["start", "--for", "10m", "--prot", "5432"], &["--prot", "--port"]),
            mistake(&["start", "--for", "10m", "-x"], &["-x"]),
            mistake(&["start", "10m"], &["10m"]),
            mistake(&["start", "--for", "10m", "5432"], &["5432"]),
            start("--verdict", "reject", &["reject", "drop", "reset"]),
            mistake(&["lift", "--for", "10m"], &["--for"]),
            mistake(&["status", "--quiet", "--verbose"], &["--quiet", "--verbose"]),
            mistake(&["status", "--color", "blue"], &["blue", "never"]),
            mistake(&["lift", "5432"], &["5432"]),
        ],
    );
    for words in [&["status", "--output", "xml"][..], &["status", "-oxml"]] {
        let said = lab.server.pgcordon(words);
        assert_eq!(said.assert_status(2).stdout, "", "{said}");
        said.assert_stderr_has("xml").assert_stderr_has("json");
        assert_eq!(said.stderr.lines().count(), 2, "{said}");
    }
    let nothing = lab.server.pgcordon::<&str>([]);
    assert_eq!(nothing.assert_status(2).stdout, "", "{nothing}");
    nothing.assert_stderr_has("start");
}

#[test]
fn shorten_means_nothing_beside_by() {
    let lab = Lab::bare(0);
    lab.server.cordon(START);
    let outcome = lab.server.try_cordon("extend --by 1m --shorten");
    outcome.assert_failure(2, "usage");
}

#[test]
fn no_time_is_so_short_that_it_means_for_ever() {
    let lab = Lab::bare(0);
    let outcome = lab.server.try_cordon("start --for 10m --farewell 500us");
    outcome.assert_failure(2, "usage");
    for long in ["--for 9999999h --max 9999999h", "--for 1m --cancel-first 99999999999999999s"] {
        let outcome = lab.server.try_cordon(&format!("start {long}"));
        outcome.assert_failure(2, "usage");
    }
    assert_eq!(lab.server.ruleset(), "");
}

#[test]
fn a_pass_list_is_a_regular_file_and_a_server_is_on_this_host() {
    let lab = Lab::bare(1);
    lab.server.shell("mkfifo /run/pipe");
    for file in ["/run/pipe", "/dev/zero", "/run"] {
        let line = format!("start --for 1m --allow @{file}");
        lab.server.try_cordon(&line).assert_failure(2, "pass-list");
    }
    lab.server.write("/run/pass", "*:*:*:*:secret");
    let host = lab.clients[0].v4;
    let line = format!("start --for 1m --pg-host {host} --pg-passfile /run/pass");
    lab.server.try_cordon(&line).assert_failure(2, "pg-host");
    assert_eq!(lab.server.ruleset(), "");
}
