//! The exit status that a failure means.

use super::CommandError;
use crate::clients::ProcessError;
use crate::commands::Exit;
use crate::firewall::FirewallError;
use crate::job::FindError;
use crate::window::WindowError;

impl CommandError {
    /// The exit status it means.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Capability(_)
            | Self::Processes(ProcessError::Privilege(_))
            | Self::Firewall(FirewallError::Privilege { .. })
            | Self::Window(WindowError::Firewall(FirewallError::Privilege { .. })) => {
                Exit::Privilege
            }
            // Nothing is wrong with the policy.
            Self::Policy(_) if self.is_out_of_descriptors() => Exit::Failed,
            Self::TooLong { .. }
            | Self::Window(
                WindowError::TooLong { .. } | WindowError::Pass(_) | WindowError::NoRamp { .. },
            )
            | Self::Allow { .. }
            | Self::AllowFile(_)
            | Self::Policy(_)
            | Self::NoLength { .. }
            | Self::NoRamp
            | Self::NoPassfile { .. }
            | Self::PassList(_)
            | Self::Interface(_)
            | Self::NotPostgres { .. }
            | Self::ForeignHost { .. }
            | Self::WhichWindow { .. } => Exit::Usage,
            Self::NoWindow { .. }
            | Self::Window(WindowError::None { .. } | WindowError::Ramp { .. }) => Exit::NoWindow,
            Self::Window(WindowError::Left { .. } | WindowError::Unverified { .. }) => {
                Exit::Incomplete
            }
            Self::Interrupted(exit) => *exit,
            Self::Find(FindError::NotFound(_)) => Exit::NotFound,
            Self::Find(FindError::NotExecutable { .. }) => Exit::NotExecutable,
            Self::StdoutTaken => Exit::Usage,
            Self::Window(_)
            | Self::Firewall(_)
            | Self::Runtime(_)
            | Self::Launch(_)
            | Self::ReportFile { .. }
            | Self::Sockets(_)
            | Self::Processes(_)
            | Self::Survey(_)
            | Self::Spare { .. }
            | Self::Write { .. }
            | Self::Strict { .. } => Exit::Failed,
        }
    }
}
