//! Root acts on a file only if nobody else could have written it.

use crate::lab::{Host, Lab, SOON};

const GOOD: &str = "version: 1\nwindow: 10m\n";

/// Gives a mistrusted policy to `start`, and a mistrusted list to a policy and to `--allow`:
/// none is used, and each time the culprit is named.
#[track_caller]
fn assert_mistrusted(server: &Host, path: &str, culprit: &str) {
    let start = format!("start --no-drain --for 10m --policy {path}");
    let message = server.try_cordon(&start).assert_failure(2, "policy");
    assert!(message.contains(&format!("{path} is not trusted: ")), "{message}");
    assert!(message.contains(culprit), "{culprit} in {message}");
    server.shell(&format!("echo 203.0.113.11 > {path}")).assert_status(0);

    server.write("/run/names-it", format!("version: 1\nallow: {{addresses_file: {path}}}\n"));
    for line in [
        "start --no-drain --for 10m --policy /run/names-it".to_owned(),
        format!("start --no-drain --for 10m --allow @{path}"),
        format!("plan --for 10m --allow @{path}"),
        format!("allow @{path}"),
    ] {
        let message = server.try_cordon(&line).assert_failure(2, "pass-list");
        assert!(message.contains(culprit), "{culprit} in {message}");
    }
    assert_eq!(server.ruleset(), "");
    server.shell(&format!("printf 'version: 1\nwindow: 10m\n' > {path}")).assert_status(0);
}

#[track_caller]
fn assert_trusted(server: &Host, path: &str) {
    server.cordon(&format!("start --no-drain --policy {path}"));
    server.cordon("lift");
}

#[test]
fn a_file_that_others_could_have_written_is_not_used() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.shell("mkdir -p /run/d/e").assert_status(0);
    let path = "/run/d/e/p.yaml";
    server.write(path, GOOD);
    assert_trusted(server, path);
    for (spoil, culprit, mend) in [
        (
            "chmod 0664 /run/d/e/p.yaml",
            "others than root may write /run/d/e/p.yaml (mode 0664)",
            "chmod 0644 /run/d/e/p.yaml",
        ),
        (
            "chmod 0646 /run/d/e/p.yaml",
            "others than root may write /run/d/e/p.yaml (mode 0646)",
            "chmod 0644 /run/d/e/p.yaml",
        ),
        (
            "chown nobody /run/d/e/p.yaml",
            "/run/d/e/p.yaml belongs to uid 65534",
            "chown root /run/d/e/p.yaml",
        ),
        (
            "chmod 0775 /run/d/e",
            "others than root may write /run/d/e (mode 0775)",
            "chmod 0755 /run/d/e",
        ),
        ("chown nobody /run/d/e", "/run/d/e belongs to uid 65534", "chown root /run/d/e"),
        ("chmod 0757 /run/d", "others than root may write /run/d (mode 0757)", "chmod 0755 /run/d"),
        ("chmod 1777 /run/d", "others than root may write /run/d (mode 1777)", "chmod 0755 /run/d"),
        (
            "setfacl -m u:nobody:rw /run/d/e/p.yaml",
            "others than root may write /run/d/e/p.yaml",
            "chmod 0644 /run/d/e/p.yaml",
        ),
    ] {
        server.shell(spoil).assert_status(0);
        assert_mistrusted(server, path, culprit);
        server.shell(mend).assert_status(0);
        assert_trusted(server, path);
    }
    // A group of root's own is still a group.
    server.shell("chmod 0600 /run/d/e/p.yaml; chmod 0700 /run/d").assert_status(0);
    assert_trusted(server, path);
}

#[test]
fn a_file_under_tmp_is_not_used() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    // The target directory may be hidden in a moment.
    let tool = server.tool_as("root");
    server
        .shell("mkdir /run/tmp && chmod 1777 /run/tmp && mount --bind /run/tmp /tmp")
        .assert_status(0);
    server
        .shell("mkdir /tmp/mine && printf 'version: 1\nwindow: 10m\n' > /tmp/mine/p.yaml")
        .assert_status(0);
    let start = "start --no-drain --policy /tmp/mine/p.yaml -o json";
    let outcome = tool.args(start.split(' ')).run();
    let message = outcome.assert_failure(2, "policy");
    assert!(message.contains("others than root may write /tmp (mode 1777)"), "{message}");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_link_is_worth_what_it_leads_to() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server
        .shell(
            "mkdir -p /run/good/in /run/open; chmod 1777 /run/open
             printf 'version: 1\nwindow: 10m\n' | tee /run/good/in/p.yaml /run/open/p.yaml
             ln -s in/p.yaml /run/good/relative
             ln -s /run/good/in/p.yaml /run/good/absolute
             ln -s good /run/folder
             ln -s ../good/in/../in /run/good/roundabout
             ln -s /run/open/p.yaml /run/good/leads-astray
             ln -s ../../run/open /run/good/folder-astray
             ln -s /run/good/in/p.yaml /run/open/by-way-of-open
             ln -s /run/open/by-way-of-open /run/good/through-open
             ln -s loop /run/good/loop
             ln -s /run/good/nowhere /run/good/dangling",
        )
        .assert_status(0);
    for path in [
        "/run/good/relative",
        "/run/good/absolute",
        "/run/folder/in/p.yaml",
        "/run/folder/relative",
        "/run/good/roundabout/p.yaml",
        "/run/good/in/../in/./p.yaml",
    ] {
        assert_trusted(server, path);
    }
    for path in [
        "/run/good/leads-astray",
        "/run/good/folder-astray/p.yaml",
        "/run/open/by-way-of-open",
        "/run/good/through-open",
    ] {
        let start = format!("start --no-drain --policy {path}");
        let message = server.try_cordon(&start).assert_failure(2, "policy");
        assert!(message.contains("others than root may write /run/open"), "{message}");
    }
    for (path, why) in [
        ("/run/good/loop", "symbolic links"),
        ("/run/good/dangling", "No such file"),
        ("/run/good/nowhere/p.yaml", "No such file"),
        ("/run/good/relative/p.yaml", "Not a directory"),
        ("/run/good/in", "not a regular file"),
        ("/", "not a regular file"),
        ("./", "not a regular file"),
    ] {
        let start = format!("start --no-drain --policy {path}");
        let message = server.try_cordon(&start).assert_failure(2, "policy");
        assert!(message.contains(why), "{why:?} in {message}");
    }
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_relative_path_is_checked_from_the_root_on() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server
        .shell("mkdir -p /run/open/mine /run/own; chmod 1777 /run/open; printf 'version: 1\nwindow: 10m\n' | tee /run/open/mine/p.yaml /run/own/p.yaml")
        .assert_status(0);
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    let within = |folder: &str| {
        let start =
            format!("cd {folder} && exec {tool} start --no-drain -o json --policy ./p.yaml");
        server.shell(&start)
    };
    let message = within("/run/open/mine").assert_failure(2, "policy");
    assert!(message.contains("others than root may write /run/open"), "{message}");
    within("/run/own").assert_status(0);
}

/// None of these keeps a call waiting.
#[test]
fn what_is_no_regular_file_is_not_read() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server
        .shell("mkfifo /run/pipe; head -c 1048577 /dev/zero | tr '\\0' '#' > /run/long; printf 'version: 1\nreason: \\377\n' > /run/binary")
        .assert_status(0);
    for (path, why) in [
        ("/run/pipe", "not a regular file"),
        ("/dev/zero", "/dev/zero (mode 0666)"),
        ("/run/long", "more than 1 MiB"),
        ("/run/binary", "line 2 is not UTF-8"),
        ("/run/missing", "No such file"),
    ] {
        let outcome = server.try_cordon(&format!("start --no-drain --policy {path}"));
        let message = outcome.assert_failure(2, "policy");
        assert!(message.contains(why), "{why:?} in {message}");
        assert!(outcome.took < SOON, "{outcome}");
        if !matches!(path, "/run/long" | "/run/binary") {
            let outcome = server.try_cordon(&format!("allow @{path}"));
            outcome.assert_failure(2, "pass-list");
        }
    }
    // As anybody.
    for path in ["/run/pipe", "/dev/zero", "/run"] {
        let check = server.tool_as("nobody").args(["policy", "check", path]);
        let outcome = check.run();
        outcome.assert_status(2).assert_stdout_has("not a regular file");
    }
}

#[test]
fn without_root_the_content_alone_is_checked() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server
        .shell(
            "mkdir /run/open; chmod 1777 /run/open
             printf 'version: 1\nallow: {addresses_file: /run/nowhere}\n' > /run/open/good
             printf 'version: 1\nwindwo: 10m\n' > /run/open/bad
             chown nobody /run/open/good /run/open/bad",
        )
        .assert_status(0);
    let check = |rest: &[&str]| {
        let tool = server.tool_as("nobody").args(["policy", "check"]);
        tool.args(rest).run()
    };
    let good = check(&["/run/open/good"]);
    assert_eq!(good.assert_status(0).stdout, "/run/open/good: valid\n");
    assert_eq!(good.stderr, "");
    assert_eq!(check(&["--quiet", "/run/open/good"]).assert_status(0).stdout, "");
    let bad = check(&["/run/open/good", "/run/open/bad"]);
    bad.assert_status(2).assert_stdout_has("/run/open/good: valid");
    bad.assert_stdout_has("/run/open/bad:2:1: windwo: there is no such key; is window meant?");
    bad.assert_stderr_has("1 of 2 policies is bad");

    // Root is told of the rest, too, and may ask for the content alone.
    let bad = server.policy("check /run/open/bad");
    bad.assert_status(2).assert_stdout_has("/run/open/bad is not trusted");
    bad.assert_stdout_has("/run/open/bad:2:1: windwo");
    server.policy("check --content /run/open/good").assert_status(0);
    server.write("/run/names-nothing", "version: 1\nallow: {addresses_file: /run/nowhere}\n");
    let nowhere = server.policy("check /run/names-nothing");
    nowhere.assert_status(2).assert_stdout_has("allow.addresses_file: cannot read /run/nowhere");
}

#[test]
fn a_list_that_a_policy_names_is_read_with_its_lines() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    server.write("/run/list", "# ours\n203.0.113.11\n\n10.0.0.0/33\n");
    server.write("/run/p", "version: 1\nwindow: 10m\nallow: {addresses_file: /run/list}\n");
    let start = "start --no-drain --policy /run/p";
    let message = server.try_cordon(start).assert_failure(2, "pass-list");
    assert!(message.contains("/run/list:4: `10.0.0.0/33`"), "{message}");
    server.write("/run/list", "203.0.113.11\n");
    let report = server.cordon(start);
    assert_eq!(report["windows"][0]["pass"], serde_json::json!(["203.0.113.11/32"]));
}

#[test]
fn a_password_is_not_taken_from_where_others_may_write() {
    let lab = Lab::new(0);
    let server = &lab.server;
    server
        .shell("mkdir -m 1777 /run/open; echo '*:*:*:*:secret' | tee /run/open/pass > /run/pass; chmod 0600 /run/open/pass /run/pass")
        .assert_status(0);
    let sql = |passfile: &str| {
        server.write(
            "/run/p",
            format!("version: 1\nwindow: 10m\npostgres: {{host: 127.0.0.1, user: postgres, passfile: {passfile}}}\n"),
        );
        let report = server.cordon("plan --policy /run/p");
        report["drain"]["sql"].as_str().unwrap().to_owned()
    };
    assert_eq!(sql("/run/pass"), "ok");
    let why = sql("/run/open/pass");
    assert!(why.contains("others than root may write /run/open"), "{why}");
}
