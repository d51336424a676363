//! Policies: what is written down once, and what comes of it.

mod bad;
mod commands;
mod every_key;
mod find;
mod hostile;
mod run;
mod shipped;
mod trust;

use crate::lab::{Host, Outcome};
use serde_json::Value;

/// Policies that come with pgcordon, in the source.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");

/// Where an administrator writes policies.
const OF_THE_ADMINISTRATOR: &str = "/etc/pgcordon/policies";

/// Where the package puts them.
const OF_THE_PACKAGE: &str = "/usr/share/pgcordon/policies";

impl Host {
    /// Gives the host an `/etc` and a `/usr/share` that can be written to without a trace
    /// on the machine, each with an empty folder of policies.
    fn with_places(&self) -> &Host {
        for place in ["etc", "usr/share"] {
            let own = format!("/run/own/{place}");
            self.shell(&format!(
                "mkdir -p {own}/upper {own}/work
                 mount -t overlay -o lowerdir=/{place},upperdir={own}/upper,workdir={own}/work overlay /{place}"
            ))
            .assert_status(0);
        }
        self.shell(&format!(
            "rm -rf /etc/pgcordon /usr/share/pgcordon
             mkdir -p {OF_THE_ADMINISTRATOR} {OF_THE_PACKAGE}"
        ))
        .assert_status(0);
        self
    }

    /// Writes a file anywhere; only after [`Host::with_places`].
    fn put(&self, path: &str, text: &str) {
        self.program("tee").args([path]).input(text).run().assert_status(0);
    }

    /// Puts the shipped policies where the package puts them.
    fn with_shipped(&self) -> &Host {
        self.with_places();
        self.shell(&format!("cp {SHIPPED}/*.yaml {OF_THE_PACKAGE}")).assert_status(0);
        self
    }

    /// `pgcordon policy …`, with its arguments split at spaces.
    fn policy(&self, line: &str) -> Outcome {
        self.tool().args(["policy"]).args(line.split(' ')).run()
    }

    /// What `policy show` says in JSON.
    #[track_caller]
    fn shown(&self, line: &str) -> Value {
        let outcome = self.policy(&format!("show {line} -o json"));
        outcome.assert_status(0).json()["policy"].clone()
    }
}
