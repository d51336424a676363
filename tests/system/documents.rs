//! The manual and the completions: anyone may have them, and they are what they say.

use crate::lab::Lab;

#[test]
fn anyone_gets_the_completions_of_each_shell() {
    let lab = Lab::bare(0);
    for (shell, sign) in [
        ("bash", "complete -F _pgcordon"),
        ("zsh", "#compdef pgcordon"),
        ("fish", "complete -c pgcordon"),
    ] {
        let outcome = lab.server.tool_as("nobody").args(["completions", shell]).run();
        outcome.assert_status(0).assert_stdout_has(sign);
        assert_eq!(outcome.stderr, "", "{outcome}");
    }
}

#[test]
fn bash_completes_commands_and_flags() {
    let lab = Lab::bare(0);
    let script = format!(
        "source <({tool} completions bash)
         COMP_WORDS=(pgcordon sta) COMP_CWORD=1
         _pgcordon pgcordon sta pgcordon; echo \"${{COMPREPLY[*]}}\"
         COMP_WORDS=(pgcordon start --allow-) COMP_CWORD=2
         _pgcordon pgcordon --allow- start; echo \"${{COMPREPLY[*]}}\"",
        tool = env!("CARGO_BIN_EXE_pgcordon")
    );
    let outcome = lab.server.shell(&script);
    assert_eq!(outcome.assert_status(0).stdout, "start status\n--allow-replication\n");
}

#[test]
fn anyone_gets_the_manual_and_man_can_read_it() {
    let lab = Lab::bare(0);
    let place = "/run/lab/manual/man8";
    lab.server.run(["install", "-d", "-o", "nobody", "/run/lab/manual"]).assert_status(0);
    let outcome = lab.server.tool_as("nobody").args(["man", place]).run();
    let pages: Vec<&str> = outcome.assert_status(0).stdout.lines().collect();
    assert_eq!(pages[0], format!("{place}/pgcordon.8"));
    assert!(pages.contains(&"/run/lab/manual/man8/pgcordon-start.8"), "{outcome}");
    for page in pages {
        // Warnings of the formatter would be faults of the page.
        let line = ["groff", "-man", "-Tutf8", "-ww", "-rLL=200n", page];
        let read = lab.server.run(line);
        assert_eq!(read.assert_status(0).stderr, "", "{read}");
        assert!(read.stdout.lines().count() > 20, "{read}");
    }
}

#[test]
fn a_manual_that_cannot_be_written_is_a_failure_with_a_name() {
    let lab = Lab::bare(0);
    let nobody = lab.server.tool_as("nobody");
    let outcome = nobody.args(["man", "/proc/nowhere", "-o", "json"]).run();
    let message = outcome.assert_failure(1, "write");
    assert!(message.contains("/proc/nowhere"), "{message}");
}

#[test]
fn a_shell_that_is_unknown_is_a_mistake() {
    let lab = Lab::bare(0);
    let outcome = lab.server.try_cordon("completions csh");
    let message = outcome.assert_failure(2, "usage");
    assert!(message.contains("csh"), "{message}");
}
