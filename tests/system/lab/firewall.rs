//! The ruleset of a host.

use serde_json::Value;

use super::host::Host;

impl Host {
    /// `nft list ruleset`
    pub fn ruleset(&self) -> String {
        let outcome = self.run(["nft", "list", "ruleset"]);
        outcome.assert_status(0);
        outcome.stdout
    }

    /// `nft -j list ruleset`: the objects in its `nftables` array. On a busy machine nft 1.0.6 has
    /// once printed nothing, with status 0 and for an unknown reason; it is asked again then.
    pub fn nft_json(&self) -> Vec<Value> {
        let ask = || self.run(["nft", "-j", "list", "ruleset"]);
        let outcome = std::iter::repeat_with(ask)
            .take(10)
            .find(|outcome| !outcome.stdout.trim().is_empty())
            .expect("a ruleset");
        match outcome.assert_status(0).json()["nftables"].take() {
            Value::Array(objects) => objects,
            other => panic!("no array nftables in the ruleset: {other}"),
        }
    }

    /// Loads a script with `nft -f`; it must be accepted.
    pub fn nft(&self, script: &str) {
        self.program("nft").args(["-f", "-"]).input(script).run().assert_status(0);
    }

    /// Counts from now on the connections that other hosts may begin at a port: behind a cordon,
    /// and before everything else.
    pub fn count_let_in(&self, port: u16) {
        self.nft(&format!(
            "table inet arrivals {{ chain first {{ type filter hook prerouting priority -300; \
             iif != lo tcp dport {port} tcp flags & (syn | ack) == syn counter; }}; }}"
        ));
    }

    /// How many first packets of connections were counted.
    pub fn let_in(&self) -> u64 {
        let objects = self.nft_json();
        let rule = objects.iter().map(|object| &object["rule"]);
        let mut ours = rule.filter(|rule| rule["table"] == "arrivals");
        let counter = ours.next().expect("a counter")["expr"].as_array();
        let counter = counter.and_then(|exprs| exprs.iter().find_map(|e| e.get("counter")));
        let packets = counter.and_then(|counter| counter["packets"].as_u64());
        packets.expect("a count")
    }

    /// The elements of a set as `nft -j` shows them; nothing where it does not exist.
    pub fn set_elements(&self, table: &str, set: &str) -> Vec<Value> {
        let named = |object: &Value| {
            let found = &object["set"];
            (found["table"] == table && found["name"] == set).then(|| found["elem"].clone())
        };
        match self.nft_json().iter().find_map(named) {
            Some(Value::Array(elements)) => elements,
            _ => Vec::new(),
        }
    }
}
