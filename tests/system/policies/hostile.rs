//! Texts that are to cost much: each ends in an error soon, within little memory.

use crate::lab::Lab;

/// What the process may use, its own program and libraries included: 64 MiB of address space,
/// and a second of the processor, which does not depend on how busy the machine is. Beyond
/// that it is killed.
const LIMITS: [&str; 3] = ["prlimit", "--as=67108864", "--cpu=1"];

const MIB: usize = 1 << 20;

/// Each of these names the one before it ten times.
fn billion(first: &str) -> String {
    let mut text = format!("a0: &a0 {first}\n");
    for n in 1..20 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &format!("a{n}: &a{n} [{aliases}]\n");
    }
    text
}

fn filled(unit: &str) -> String {
    unit.repeat(MIB / unit.len())
}

#[test]
fn what_would_cost_too_much_ends_in_an_error() {
    let lab = Lab::bare(0);
    let long = "x".repeat(MIB / 2);
    let texts = [
        ("laughs", billion("[lol, lol, lol]")),
        ("laughs-of-maps", billion("{lol: lol}")),
        (
            "laughs-as-keys",
            format!("{}? *a19\n: 1\n", billion("[lol]")),
        ),
        ("itself", "a: &a [*a, *a, *a]\n".to_owned()),
        (
            "long-aliases",
            format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 100_000].join(",")),
        ),
        ("brackets", filled("[")),
        ("braces", filled("{a: ")),
        ("dashes", filled("- ")),
        ("questions", filled("? ")),
        ("commas", format!("ports: [{}]", &filled("a,")[..MIB - 20])),
        ("pairs", format!("ports: [{}]", &filled("a: ,")[..MIB - 20])),
        ("keys", filled("a:\n")),
        (
            "nested",
            (0..1400)
                .map(|n| format!("{}a:\n", " ".repeat(n)))
                .collect(),
        ),
        ("documents", filled("---\n")),
        (
            "directives",
            (0..70_000).map(|n| format!("%TAG !{n}! x\n")).collect(),
        ),
        ("tags", format!("ports: [{}]", &filled("!a b,")[..MIB - 20])),
        (
            "quotes",
            format!("reason: \"{}\"", &filled("\\x41")[..MIB - 20]),
        ),
        ("one-word", filled("a")),
        ("more-than-a-mebibyte", "#".repeat(MIB + 1)),
    ];
    for (name, text) in texts {
        let path = format!("/run/{name}");
        lab.server.write(&path, text);
        for command in [
            vec!["policy", "check", &path],
            vec!["start", "--for", "10m", "--policy", &path],
        ] {
            let outcome = lab.server.tool().args(command).under(LIMITS).run();
            outcome.assert_status(2);
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        }
    }
}

/// The longest list that a policy can have is read within the same limits.
#[test]
fn a_policy_of_a_mebibyte_of_networks_is_read() {
    let lab = Lab::bare(0);
    let mut text = "version: 1\nallow:\n  addresses:\n".to_owned();
    for n in 0_u32.. {
        let line = format!("  - {}/31\n", std::net::Ipv4Addr::from(0x1400_0000 + 4 * n));
        if text.len() + line.len() > MIB {
            break;
        }
        text += &line;
    }
    lab.server.write("/run/long", &text);
    let check = lab.server.tool().args(["policy", "check", "/run/long"]);
    let outcome = check.under(LIMITS).run();
    outcome.assert_status(0).assert_stdout_has("valid");
}
