//! One value for each setting: a flag wins over the policy's file, the file over what is
//! built in. `--port` replaces the list of ports; `--allow` and `--spare` add to theirs.

use super::sections::{Allow, Drain, Policy, Ramp, Run, Spare};
use crate::cordon::{
    AllowEntry, CancelTime, DEFAULT_DRAIN_TIMEOUT, DEFAULT_FAREWELL, DEFAULT_MAX_WINDOW,
    DEFAULT_PORT, DEFAULT_RAMP_RATE, DrainTime, OnExpiry, Port, RampLength, Rate, Reason,
    Spare as SpareRule, Verdict, WindowLength,
};
use crate::postgres::Access;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// The decided values of a section: what a flag says, else the file, else what stands behind
/// the `=`. A setting without one may have no value.
macro_rules! decided {
    (@ $said:expr) => { $said };
    (@ $said:expr, $built_in:expr) => { $said.unwrap_or($built_in) };
    ($(#[$doc:meta])* $name:ident of $section:ident {
        $($(#[$meta:meta])* $key:ident: $type:ty $(= $built_in:expr)?,)*
    } $(with sections { $($part:ident: $part_type:ty,)* })?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[allow(missing_docs)] // The section tells what each of them is.
        pub struct $name {
            $($(#[$meta])* pub $key: $type,)*
            $($(pub $part: $part_type,)*)?
        }

        impl $name {
            fn merge(flags: &$section, file: &$section) -> Self {
                Self {
                    $($key: decided!(@ flags.$key.clone().or(file.$key.clone()) $(, $built_in)?),)*
                    $($($part: <$part_type>::merge(&flags.$part, &file.$part),)*)?
                }
            }
        }
    };
}

decided! {
    /// Every setting, decided, with the keys of a policy.
    Settings of Policy {
        #[serde(skip)]
        file: Option<PathBuf>,
        description: Option<String>,
        ports: Vec<Port> = vec![Port(DEFAULT_PORT)],
        window: Option<WindowLength>,
        max_window: WindowLength = WindowLength(DEFAULT_MAX_WINDOW),
        verdict: Verdict = Verdict::default(),
        reason: Option<Reason>,
    } with sections {
        allow: AllowSettings,
        spare: SpareSettings,
        drain: DrainSettings,
        ramp: RampSettings,
        run: RunSettings,
        postgres: Access,
    }
}

decided! {
    /// Who is let through.
    AllowSettings of Allow {
        replication: bool = false,
        #[serde(skip)]
        entries: Vec<AllowEntry> = Vec::new(),
    }
}

decided! {
    /// Which existing connections live on.
    SpareSettings of Spare {
        #[serde(skip)]
        rules: Vec<SpareRule> = Vec::new(),
    }
}

decided! {
    /// How existing connections are ended.
    DrainSettings of Drain {
        farewell: DrainTime = DrainTime(DEFAULT_FAREWELL),
        timeout: DrainTime = DrainTime(DEFAULT_DRAIN_TIMEOUT),
        cancel_first: CancelTime = CancelTime(Duration::ZERO),
        strict: bool = false,
    }
}

decided! {
    /// How the port is given back.
    RampSettings of Ramp {
        #[serde(rename = "for")]
        length: RampLength = RampLength(Duration::ZERO),
        rate: Rate = Rate(DEFAULT_RAMP_RATE),
    }
}

decided! {
    /// For `run`.
    RunSettings of Run {
        on_expiry: OnExpiry = OnExpiry::default(),
    }
}

/// What is said, and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    pub flags: Policy,
    pub file: Policy,
}

impl Sources {
    /// Flags above a policy, if there is one.
    pub fn new(flags: Policy, policy: Option<Policy>) -> Self {
        let mut file = policy.unwrap_or_default();
        file.postgres = file.postgres.under(&flags.postgres);
        Self { flags, file }
    }

    /// Decides every setting.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::merge(&self.flags, &self.file);
        settings.allow.entries = [self.file.allow.all(), self.flags.allow.all()].concat();
        settings.spare.rules = [self.file.spare.all(), self.flags.spare.all()].concat();
        settings
    }
}
