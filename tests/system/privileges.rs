//! Who may not: a missing privilege is named, and nothing is touched.

use crate::lab::{Host, Lab, Program, SOON, START};

const COMMANDS: [&str; 5] =
    ["start --for 10m --no-drain", "lift", "extend --by 1m", "allow 10.0.0.1", "status"];

/// Fails unless each command ends with 77 and names the capability, in text and in JSON.
fn assert_refused(server: &Host, tool: &dyn Fn(&Host) -> Program) {
    server.cordon("start --for 10m --no-drain --port 5433");
    let before = server.run(["nft", "-s", "list", "ruleset"]).stdout;
    for command in COMMANDS {
        let run = |more: &[&str]| tool(server).args(command.split(' ')).args(more).run();
        let message = run(&["-o", "json"]).assert_failure(77, "privilege");
        assert!(message.contains("CAP_NET_ADMIN"), "{command}: {message}");
        let said = run(&[]);
        said.assert_status(77).assert_stderr_has("CAP_NET_ADMIN");
        assert_eq!(said.stdout, "", "{said}");
        assert_eq!(said.stderr.lines().count(), 2, "{said}");
    }
    assert_eq!(server.run(["nft", "-s", "list", "ruleset"]).stdout, before);
}

#[test]
fn another_user_is_told_which_capability_is_missing() {
    let lab = Lab::bare(0);
    assert_refused(&lab.server, &|server| server.tool_as("nobody"));
}

#[test]
fn root_without_the_capability_is_told_so() {
    let lab = Lab::bare(0);
    assert_refused(&lab.server, &|server| server.tool().without(&["net_admin"]));
}

#[test]
fn help_and_version_need_no_privilege() {
    let lab = Lab::bare(0);
    let version = lab.server.tool_as("nobody").args(["--version"]).run();
    version.assert_status(0).assert_stdout_has("pgcordon ");
    for command in ["start", "lift", "extend", "allow", "status"] {
        let help = lab.server.tool_as("nobody").args([command, "--help"]).run();
        help.assert_status(0).assert_stdout_has("--port");
        assert_eq!(help.stderr, "");
    }
}

#[test]
fn a_mistake_is_told_before_a_missing_privilege() {
    let lab = Lab::bare(0);
    let nobody = lab.server.tool_as("nobody");
    let outcome = nobody.args(["start", "--for", "10", "-o", "json"]).run();
    outcome.assert_failure(2, "usage");
}

#[test]
fn a_table_that_the_kernel_protects_is_no_missing_privilege() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let owner = "{ echo 'add table inet pgcordon_5433 { flags owner; }'; \
                   echo 'list tables'; exec sleep 600; } | nft -i";
    let owner = server.program("bash").args(["-c", owner]).spawn();
    owner.wait_for_stdout("table inet pgcordon_5433", SOON);
    let outcome = server.try_cordon(&format!("{START} --port 5433"));
    outcome.assert_status(1);
    assert!(!outcome.stderr.contains("run it as root"), "{outcome}");
}
