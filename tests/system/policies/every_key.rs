//! For every key of a policy: a flag wins over the file, the file over what is built in. The
//! keys come from the schema, so that a new one without a case here fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::lab::Lab;

struct Case {
    key: &'static str,
    /// What the file says, as YAML.
    file: &'static str,
    /// That value, as it is shown.
    in_file: Value,
    /// The flags.
    flags: &'static str,
    /// Their value, as it is shown.
    in_flags: Value,
    /// What is built in.
    built_in: Value,
}

/// Keys that no flag has: what a policy is, rather than what it does.
const WITHOUT_FLAG: [&str; 2] = ["version", "description"];

fn case(
    key: &'static str,
    [file, flags]: [&'static str; 2],
    [in_file, in_flags, built_in]: [Value; 3],
) -> Case {
    Case { key, file, in_file, flags, in_flags, built_in }
}

/// Flags replace the file's value.
fn replaced() -> Vec<Case> {
    vec![
        case(
            "ports",
            ["ports: [5433, 5434]", "--port 6000"],
            [json!([5433, 5434]), json!([6000]), json!([5432])],
        ),
        case("window", ["window: 10m", "--for 90s"], [json!("10m"), json!("1m30s"), Value::Null]),
        case(
            "max_window",
            ["max_window: 2days", "--max 3days"],
            [json!("2days"), json!("3days"), json!("1day")],
        ),
        case(
            "verdict",
            ["verdict: reset", "--verdict drop"],
            [json!("reset"), json!("drop"), json!("drop")],
        ),
        case(
            "allow.replication",
            ["allow: {replication: true}", "--allow-replication=false"],
            [json!(true), json!(false), json!(false)],
        ),
        case(
            "drain.farewell",
            ["drain: {farewell: 3s}", "--farewell 4s"],
            [json!("3s"), json!("4s"), json!("2s")],
        ),
        case(
            "drain.timeout",
            ["drain: {timeout: 3s}", "--drain-timeout 4s"],
            [json!("3s"), json!("4s"), json!("10s")],
        ),
        case(
            "drain.cancel_first",
            ["drain: {cancel_first: 3s}", "--cancel-first 0s"],
            [json!("3s"), json!("0s"), json!("0s")],
        ),
        case(
            "drain.strict",
            ["drain: {strict: true}", "--strict=false"],
            [json!(true), json!(false), json!(false)],
        ),
        case("ramp.for", ["ramp: {for: 2m}", "--ramp 3m"], [json!("2m"), json!("3m"), json!("0s")]),
        case(
            "ramp.rate",
            ["ramp: {for: 2m, rate: 20/s}", "--ramp-rate 30/s"],
            [json!("20/s"), json!("30/s"), json!("10/s")],
        ),
        case(
            "run.on_expiry",
            ["run: {on_expiry: extend}", "--on-expiry kill"],
            [json!("extend"), json!("kill"), json!("warn")],
        ),
        case(
            "postgres.socket_dir",
            ["postgres: {socket_dir: /run/a}", "--pg-socket-dir /run/b"],
            [json!("/run/a"), json!("/run/b"), Value::Null],
        ),
        case(
            "postgres.user",
            ["postgres: {user: a}", "--pg-user b"],
            [json!("a"), json!("b"), Value::Null],
        ),
        case(
            "postgres.database",
            ["postgres: {database: a}", "--pg-database b"],
            [json!("a"), json!("b"), Value::Null],
        ),
        case(
            "postgres.host",
            ["postgres: {host: 127.0.0.1, passfile: /run/a}", "--pg-host ::1"],
            [json!("127.0.0.1"), json!("::1"), Value::Null],
        ),
        case(
            "postgres.passfile",
            ["postgres: {host: 127.0.0.1, passfile: /run/a}", "--pg-passfile /run/b"],
            [json!("/run/a"), json!("/run/b"), Value::Null],
        ),
        case(
            "reason",
            ["reason: nightly", "--reason now"],
            [json!("nightly"), json!("now"), Value::Null],
        ),
    ]
}

/// Flags add to the file's list.
fn added() -> Vec<Case> {
    let list = |file: &str, flag: &str| [json!([file]), json!([flag]), json!([])];
    vec![
        case(
            "allow.addresses",
            ["allow: {addresses: [10.0.0.0/8]}", "--allow 2001:db8::1"],
            list("10.0.0.0/8", "2001:db8::1/128"),
        ),
        case(
            "allow.addresses_file",
            ["allow: {addresses_file: /run/a}", "--allow @/run/b"],
            list("/run/a", "/run/b"),
        ),
        case(
            "allow.interfaces",
            ["allow: {interfaces: [eth1]}", "--allow interface:eth2"],
            list("eth1", "eth2"),
        ),
        case("spare.roles", ["spare: {roles: [a]}", "--spare role=b"], list("a", "b")),
        case("spare.databases", ["spare: {databases: [a]}", "--spare database=b"], list("a", "b")),
        case(
            "spare.applications",
            ["spare: {applications: [a]}", "--spare application=b"],
            list("a", "b"),
        ),
    ]
}

/// Every key of the schema that has no keys below it.
fn keys_of_the_schema(schema: &Value) -> BTreeSet<String> {
    fn walk(schema: &Value, part: &Value, path: &str, keys: &mut BTreeSet<String>) {
        let part = match part["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("a reference within");
                schema.pointer(pointer).expect("what it refers to")
            }
            None => part,
        };
        let Some(properties) = part["properties"].as_object() else {
            keys.insert(path.to_owned());
            return;
        };
        for (name, part) in properties {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            walk(schema, part, &path, keys);
        }
    }
    let mut keys = BTreeSet::new();
    walk(schema, schema, "", &mut keys);
    keys
}

fn given(value: &Value, origin: &str) -> Value {
    json!({"value": value, "origin": origin})
}

#[test]
fn flags_win_over_the_file_and_the_file_over_what_is_built_in() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let schema = server.policy("schema").assert_status(0).json();
    let (replaced, added) = (replaced(), added());
    let cases = || replaced.iter().chain(&added);
    let mut known: BTreeSet<_> = cases().map(|case| case.key.to_owned()).collect();
    known.extend(WITHOUT_FLAG.map(str::to_owned));
    assert_eq!(keys_of_the_schema(&schema), known);

    let built_in = server.shown("none")["settings"].clone();
    let shown: BTreeSet<_> = built_in.as_object().unwrap().keys().cloned().collect();
    let of_cases: BTreeSet<_> = cases().map(|case| case.key.to_owned()).collect();
    assert_eq!(shown, of_cases, "policy show has every key");
    for case in &replaced {
        server.write("/run/p", format!("version: 1\n{}\n", case.file));
        let of_file = server.shown("/run/p")["settings"].clone();
        let of_flags = server.shown(&format!("/run/p {}", case.flags))["settings"].clone();
        let key = case.key;
        assert_eq!(built_in[key], given(&case.built_in, "built-in"), "{key}");
        assert_eq!(of_file[key], given(&case.in_file, "file"), "{key}");
        assert_eq!(of_flags[key], given(&case.in_flags, "flag"), "{key}");
    }
    for case in &added {
        server.write("/run/p", format!("version: 1\n{}\n", case.file));
        let key = case.key;
        assert_eq!(built_in[key], case.built_in, "{key}");
        let of_file = given(&case.in_file[0], "file");
        let of_flags = given(&case.in_flags[0], "flag");
        let shown = server.shown("/run/p")["settings"].clone();
        assert_eq!(shown[key], json!([of_file]), "{key}");
        let shown = server.shown(&format!("/run/p {}", case.flags))["settings"].clone();
        assert_eq!(shown[key], json!([of_file, of_flags]), "{key}");
        let shown = server.shown(&format!("none {}", case.flags))["settings"].clone();
        assert_eq!(shown[key], json!([of_flags]), "{key}");
    }
}

#[test]
fn the_other_way_to_postgresql_on_the_command_line_is_the_only_one() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let host = "version: 1\npostgres: {host: 127.0.0.1, passfile: /run/pass}\n";
    server.write("/run/host", host);
    server.write("/run/dir", "version: 1\npostgres: {socket_dir: /run/a}\n");
    let shown = server.shown("/run/host --pg-socket-dir /run/b")["settings"].clone();
    assert_eq!(shown["postgres.host"], given(&Value::Null, "built-in"));
    assert_eq!(shown["postgres.socket_dir"], given(&json!("/run/b"), "flag"));
    let line = "/run/dir --pg-host 127.0.0.1 --pg-passfile /run/pass";
    let shown = server.shown(line)["settings"].clone();
    assert_eq!(shown["postgres.socket_dir"], given(&Value::Null, "built-in"));
    assert_eq!(shown["postgres.host"], given(&json!("127.0.0.1"), "flag"));
}
