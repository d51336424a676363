//! `run` at a terminal: CMD is a job as any other one of a shell.

use crate::lab::Step::{HangUp, Read, Type, Until};
use crate::lab::{CTRL_C, CTRL_Z, Lab};

const OPEN: &str = "! nft list table inet pgcordon_5432";
const CLOSED: &str = "nft list set inet pgcordon_5432 window | grep -q expires";
const STOPPED: &str = "ps -C pgcordon -o stat= | grep -q T && ps -C sleep -o stat= | grep -q T";
const GOES_ON: &str = "ps -C pgcordon -o stat= | grep -qv T && ps -C sleep -o stat= | grep -qv T";

/// The command is there and has the terminal.
const AT_WORK: &str = "ps -C sleep -o pgid=,tpgid= | (read a b; [ $a = $b ])";

/// A command line at the prompt.
fn run(flags: &str, script: &str) -> String {
    format!("$pgcordon run --for 5m --no-drain --quiet {flags} -- sh -c '{script}'\n")
}

#[test]
fn ctrl_c_reaches_the_command_and_then_the_port_is_opened() {
    let lab = Lab::bare(0);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&run("", "echo be''gan; exec sleep 60")),
        Read("began"),
        Until(CLOSED),
        Type(CTRL_C),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=130"),
        Until(OPEN),
    ]);
}

#[test]
fn a_command_that_outlives_ctrl_c_keeps_the_port_closed() {
    let lab = Lab::bare(0);
    let script =
        r#"trap "echo no''ted" INT; echo be''gan; until read line; do :; done; exit $line"#;
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&run("", script)),
        Read("began"),
        Type(CTRL_C),
        Read("noted"),
        Until(CLOSED),
        Type("5\n"),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=5"),
        Until(OPEN),
    ]);
}

#[test]
fn the_command_has_the_terminal_from_its_first_instruction_on() {
    let lab = Lab::bare(0);
    // Its own group, and that group is the terminal's: asked before anything else happens.
    let script = r#"set -- $(ps -o pgid=,tpgid= -p $$); [ $1 = $$ ] && [ $1 = $2 ] && echo mi''ne"#;
    let line = run("", script);
    for _ in 0..5 {
        lab.server.at_a_shell(&[
            Read("ready> "),
            Type(&line),
            Read("mine"),
            Read("ready> "),
            // The shell has it back.
            Until("ps -C bash -o pgid=,tpgid=,args= | grep noediting | (read a b c; [ $a = $b ])"),
        ]);
    }
}

#[test]
fn ctrl_z_stops_both_and_fg_continues_both() {
    let lab = Lab::bare(0);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&run("", "echo be''gan; sleep 60; echo ne''ver")),
        Read("began"),
        Until("pgrep -x sleep"),
        Type(CTRL_Z),
        Read("Stopped"),
        Read("ready> "),
        Until(STOPPED),
        Until(CLOSED),
        Type("fg\n"),
        Until(GOES_ON),
        Until(AT_WORK),
        Type(CTRL_Z),
        Read("Stopped"),
        Until(STOPPED),
        Type("bg\n"),
        Until(GOES_ON),
        Until(&format!("! {{ {AT_WORK}; }}")),
        Type("fg\n"),
        Until(AT_WORK),
        Type(CTRL_C),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=130"),
        Until(OPEN),
    ]);
}

#[test]
fn a_job_in_the_background_stops_where_it_reads_the_terminal() {
    let lab = Lab::bare(0);
    let line = run("", "read line; echo go''t-$line; exit 4");
    let line = format!("{} &\n", line.trim_end());
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&line),
        Until("ps -C pgcordon -o stat= | grep -q T"),
        Until(CLOSED),
        Type("fg\n"),
        Read("run --for"),
        Until("ps -C pgcordon -o stat= | grep -qv T"),
        Type("this\n"),
        Read("got-this"),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=4"),
        Until(OPEN),
    ]);
}

#[test]
fn a_script_around_it_stops_with_it() {
    let lab = Lab::bare(0);
    lab.server.write(
        "/run/fix.sh",
        "$pgcordon run --for 5m --no-drain --quiet -- sh -c 'echo began; exec sleep 60'\necho after-$?\n",
    );
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type("bash /run/fix.sh\n"),
        Read("began"),
        Until("pgrep -x sleep"),
        Type(CTRL_Z),
        Read("Stopped"),
        Read("ready> "),
        Until(STOPPED),
        Type("fg\n"),
        Until(GOES_ON),
        Until(AT_WORK),
        Type(CTRL_C),
        Read("after-130"),
        Read("ready> "),
        Until(OPEN),
    ]);
}

#[test]
fn an_interactive_shell_can_be_the_command() {
    let lab = Lab::bare(0);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type("$pgcordon run --for 5m --no-drain --quiet -- bash --norc --noediting -i\n"),
        Read("ready> "),
        Type("sleep 60\n"),
        Until("pgrep sleep"),
        Type(CTRL_Z),
        Read("Stopped"),
        Read("ready> "),
        Until("ps -C pgcordon -o stat= | grep -qv T"),
        Type("kill %1; fg\n"),
        Read("ready> "),
        Until(CLOSED),
        Type("exit 9\n"),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=9"),
        Until(OPEN),
    ]);
}

#[test]
fn ctrl_z_is_nothing_where_no_shell_could_continue() {
    let lab = Lab::bare(0);
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    let script = "echo began; read line; echo got-$line";
    let line = [tool, "run", "--for", "5m", "--no-drain", "--quiet", "--", "sh", "-c", script];
    lab.server.at_a_terminal(
        &line,
        &[Read("began"), Type(CTRL_Z), Type("this\n"), Read("got-this"), Until(OPEN)],
    );
}

#[test]
fn a_terminal_that_is_lost_ends_the_command_and_then_the_window() {
    let lab = Lab::bare(0);
    let script =
        r#"trap "echo hung > /run/up; exit" HUP; echo be''gan; while :; do sleep 0.1; done"#;
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&run("", script)),
        Read("began"),
        Until(CLOSED),
        HangUp,
        Until("grep -q hung /run/up"),
        Until(OPEN),
    ]);
}

#[test]
fn a_command_that_survives_the_loss_of_the_terminal_keeps_the_port_closed() {
    let lab = Lab::bare(0);
    let script =
        r#"trap "echo hung > /run/up" HUP; echo be''gan; until [ -e /run/go ]; do sleep 0.1; done"#;
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&run("", script)),
        Read("began"),
        HangUp,
        Until("grep -q hung /run/up"),
        Until(CLOSED),
        Until("touch /run/go"),
        Until(OPEN),
        Until("! pgrep -x pgcordon"),
    ]);
}
