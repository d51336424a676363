//! Texts that are to cost much: each ends in an error soon, within little memory.

use crate::lab::Lab;

/// What the process may use, its own program and libraries included: 64 MiB of address space,
/// and two seconds of the processor. Beyond that it is killed.
const LIMITS: [&str; 3] = ["prlimit", "--as=67108864", "--cpu=2"];

/// The longest text of a policy.
const LONGEST: usize = 64 << 10;

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
    unit.repeat(LONGEST / unit.len())
}

#[test]
fn what_would_cost_too_much_ends_in_an_error() {
    let lab = Lab::bare(0);
    let long = "x".repeat(LONGEST / 2);
    let texts = [
        ("laughs", billion("[lol, lol, lol]")),
        ("laughs-of-maps", billion("{lol: lol}")),
        ("laughs-as-keys", format!("{}? *a19\n: 1\n", billion("[lol]"))),
        (
            "laughs-in-lists",
            format!(
                "version: 1\ndescription: &a {long}\nspare: {{roles: [{}]}}\n",
                vec!["*a"; 10_000].join(",")
            ),
        ),
        ("itself", "a: &a [*a, *a, *a]\n".to_owned()),
        ("long-aliases", format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 10_000].join(","))),
        ("brackets", filled("[")),
        ("braces", filled("{a: ")),
        ("dashes", filled("- ")),
        ("questions", filled("? ")),
        ("commas", format!("ports: [{}]", &filled("a,")[..LONGEST - 20])),
        ("pairs", format!("ports: [{}]", &filled("a: ,")[..LONGEST - 20])),
        ("keys", filled("a:\n")),
        ("nested", (0..350).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("documents", filled("---\n")),
        ("directives", (0..4_500).map(|n| format!("%TAG !{n}! x\n")).collect()),
        ("tags", format!("ports: [{}]", &filled("!a b,")[..LONGEST - 20])),
        ("quotes", format!("reason: \"{}\"", &filled("\\x41")[..LONGEST - 20])),
        ("one-word", filled("a")),
        ("too-long", "#".repeat(LONGEST + 1)),
        ("much-too-long", "#".repeat(100 * LONGEST)),
    ];
    for (name, text) in texts {
        let path = format!("/run/{name}");
        lab.server.write(&path, text);
        for command in
            [vec!["policy", "check", &path], vec!["start", "--for", "10m", "--policy", &path]]
        {
            let outcome = lab.server.tool().args(command).under(LIMITS).run();
            outcome.assert_status(2);
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        }
    }
}

/// The longest list that a policy can have is read within the same limits.
#[test]
fn a_policy_full_of_networks_is_read() {
    let lab = Lab::bare(0);
    let mut text = "version: 1\nallow:\n  addresses:\n".to_owned();
    for n in 0_u32.. {
        let line = format!("  - {}/31\n", std::net::Ipv4Addr::from(0x1400_0000 + 4 * n));
        if text.len() + line.len() > LONGEST {
            break;
        }
        text += &line;
    }
    lab.server.write("/run/long", &text);
    let check = lab.server.tool().args(["policy", "check", "/run/long"]);
    let outcome = check.under(LIMITS).run();
    outcome.assert_status(0).assert_stdout_has("valid");
}
