//! A cordon that someone has changed by hand: `status` says so.

use crate::lab::{GLIMPSE, Lab, Reach, SOON, START, warns};

/// What is done to a cordon, and what the warning must name.
const DAMAGE: [(&str, &str, &[&str]); 7] = [
    ("a dormant table", "add table inet pgcordon_5432 { flags dormant; }", &["dormant"]),
    ("a flushed gate", "flush chain inet pgcordon_5432 gate", &["gate"]),
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
    ("the drop of fragments away", "flush chain inet pgcordon_5432 shards", &["shards"]),
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
        server.nft(&format!("delete rule inet pgcordon_5432 {chain} handle {handle}"));
        let report = server.cordon("status");
        let told = warns(&report, &["port 5432", "damaged", chain]);
        assert!(told, "without {rule}: {report}");
        let said = server.pgcordon(["status"]);
        said.assert_status(0).assert_stderr_has("damaged");
        server.cordon("lift");
    }
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
}

#[test]
fn an_open_gate_for_fragments_is_damage() {
    let lab = Lab::bare(0);
    lab.server.cordon(&format!("{START} --no-guard"));
    lab.server.nft("delete element inet pgcordon_5432 armed { ipv6 }");
    let report = lab.server.cordon("status");
    assert!(warns(&report, &["damaged"]), "{report}");
}

#[test]
fn a_start_on_a_damaged_cordon_does_not_say_that_all_is_well() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let mut quiet = Vec::new();
    for line in [START, "extend --by 1m", "allow 10.0.0.1"] {
        server.cordon(START);
        server.nft("add table inet pgcordon_5432 { flags dormant; }");
        let outcome = server.try_cordon(line);
        let open = client.reach(server.at_v4(5432), GLIMPSE);
        let told = outcome.status.code() != Some(0) || warns(&outcome.json(), &["damaged"]);
        if open == Reach::Connected && !told {
            quiet.push(outcome.to_string());
        }
        server.cordon("lift");
    }
    assert!(quiet.is_empty(), "{quiet:#?}");
}

#[test]
fn a_chain_that_is_not_ours_is_damage() {
    let lab = Lab::bare(0);
    lab.server.cordon(&format!("{START} --no-guard"));
    lab.server.nft("add chain inet pgcordon_5432 extra { type filter hook input priority -400; }");
    let report = lab.server.cordon("status");
    assert!(warns(&report, &["damaged", "extra"]), "{report}");
}

#[test]
fn a_comment_of_the_far_future_hurts_nobody() {
    let lab = Lab::bare(0);
    lab.server.cordon(START);
    lab.server.nft(
        "delete element inet pgcordon_5432 window { 5432 }\n\
         add element inet pgcordon_5432 window { 5432 timeout 10m comment \"id=1 start=999999999999999999 by=x uid=0 healed=0\" }",
    );
    lab.server.cordon("status");
    lab.server.cordon("extend --by 1m");
}
