//! A cordon that someone has changed by hand: `status` says so.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use lab::{Lab, Reach, SOON, warns};

/// What is done to a cordon, and what the warning must name.
const DAMAGE: [(&str, &str, &[&str]); 7] = [
    (
        "a dormant table",
        "add table inet pgcordon_5432 { flags dormant; }",
        &["dormant"],
    ),
    (
        "a flushed gate",
        "flush chain inet pgcordon_5432 gate",
        &["gate"],
    ),
    (
        "an added rule that accepts",
        "insert rule inet pgcordon_5432 cordon tcp dport 5432 accept",
        &["cordon"],
    ),
    (
        "an added rule in the gate",
        "insert rule inet pgcordon_5432 gate ip saddr 203.0.113.11 accept",
        &["gate"],
    ),
    (
        "a rule put in another's place",
        "flush chain inet pgcordon_5432 inner\n\
         add rule inet pgcordon_5432 inner tcp dport 5432 accept",
        &["inner"],
    ),
    (
        "the drop of fragments away",
        "flush chain inet pgcordon_5432 shards",
        &["shards"],
    ),
    (
        "a base chain with another policy",
        "add chain inet pgcordon_5432 gate { policy drop; }",
        &["gate"],
    ),
];

#[test]
fn damage_to_a_cordon_is_told() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let mut silent = Vec::new();
    for (what, script, named) in DAMAGE {
        server.cordon("start --for 10m --no-drain --no-guard");
        let whole = server.cordon("status");
        assert!(!warns(&whole, &["damaged"]), "before {what}: {whole}");
        server.nft(script);
        let damaged = server.cordon("status");
        let mut texts = vec!["port 5432", "damaged"];
        texts.extend(named);
        if !warns(&damaged, &texts) {
            silent.push(format!("{what}: {}", damaged["warnings"]));
        }
        server.cordon("lift");
        assert_eq!(server.ruleset(), "", "after {what}");
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn a_deleted_rule_is_told_whichever_it_is() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let start = "start --for 10m --no-drain --no-guard";
    let rules = || {
        let objects = server.nft_json();
        let rules = objects.iter().map(|object| object["rule"].clone());
        rules.filter(|rule| rule.is_object()).collect::<Vec<_>>()
    };
    server.cordon(start);
    let count = rules().len();
    assert!(count > 15, "{count} rules");
    for number in 0..count {
        server.cordon(start);
        let rule = rules().swap_remove(number);
        let (chain, handle) = (rule["chain"].as_str().unwrap(), &rule["handle"]);
        server.nft(&format!(
            "delete rule inet pgcordon_5432 {chain} handle {handle}"
        ));
        let report = server.cordon("status");
        let told = warns(&report, &["port 5432", "damaged", chain]);
        assert!(told, "without {rule}: {report}");
        let said = server.pgcordon(["status"]);
        said.assert_status(0).assert_stderr_has("damaged");
        server.cordon("lift");
    }
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
}
