//! What `start`, `hold` and `run` have in common: cordon, then drain.

use super::settings::{self, Decision};
use super::{CommandError, Context, in_force, request, select};
use crate::audit;
use crate::cli::Start;
use crate::clients::{Locality, Sockets};
use crate::cordon::{Cordon, DrainReport, KeepRules, Rate, Window, WindowId, show};
use crate::drain::{self, Classifier, Listeners, Order, Pace};
use crate::failure::Exit;
use crate::foreground::Foreground;
use crate::policy::{Run, Settings};
use crate::report::{Body, Outcome, Report, human};
use crate::sys::privilege;
use crate::sys::runtime::in_thread;
use crate::sys::trusted::Trust;
use crate::window::{self, Guards, Ownership, Raised, WindowError};
use futures_util::future::join_all;
use rustix::process::Signal;
use std::path::PathBuf;
use std::time::Duration;

/// A call of `start`, `hold` or `run` that was checked and has not touched anything yet.
pub struct Plan {
    /// What it goes by.
    pub settings: Settings,
    /// What is to be cordoned, one for each port.
    pub cordons: Vec<Cordon>,
    /// Who listens there.
    pub listeners: Vec<Listeners>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Checks a call.
    pub fn new(args: &Start) -> Result<Self, CommandError> {
        Self::of_run(args, &Run::default())
    }

    /// The same with what is said for `run`.
    pub fn of_run(args: &Start, run: &Run) -> Result<Self, CommandError> {
        let author = privilege::Author::ask();
        let policy = args.policy.as_ref();
        let Decision { settings, warnings, .. } =
            settings::decide(args, run, policy, Trust::RootOnly)?;
        check_host(&settings)?;
        let (by, by_uid) = author.told();
        let cordons = request::cordons(&settings, args.no_drain, &by, by_uid)?;
        let of = |cordon: &Cordon| Listeners::of(cordon.port, args.any_listener);
        let listeners = cordons.iter().map(of).collect::<Result<_, _>>()?;
        Ok(Self { settings, cordons, listeners, warnings })
    }

    /// What is to be drained under those of these windows that were raised by this plan.
    fn orders(&self, own: &[WindowId], args: &Start) -> Vec<Order> {
        let is_own = |number: &usize| own.contains(&self.cordons[*number].id());
        let numbers = (0..self.cordons.len()).filter(is_own);
        numbers.map(|number| self.order(number, args)).collect()
    }

    /// What is to be drained on the port of a number.
    pub fn order(&self, number: usize, args: &Start) -> Order {
        let settings = &self.settings;
        let keep = KeepRules {
            spare: settings.spare.rules.clone(),
            replication: settings.allow.replication,
            cut_standbys: args.cut_standbys,
        };
        let (cordon, listeners) = (&self.cordons[number], &self.listeners[number]);
        Order::for_cordon(cordon, listeners, pace(settings), keep, settings.postgres.clone())
    }
}

pub fn pace(settings: &Settings) -> Pace {
    Pace {
        farewell: settings.drain.farewell.0,
        timeout: settings.drain.timeout.0,
        cancel_first: settings.drain.cancel_first.0,
    }
}

/// A password must not be sent to another machine.
pub fn check_host(settings: &Settings) -> Result<(), CommandError> {
    let Some(host) = settings.postgres.host else {
        return Ok(());
    };
    let is_local = Locality::open().and_then(|mut locality| locality.is_local(host, 0));
    match is_local.map_err(CommandError::Sockets)? {
        true => Ok(()),
        false => Err(CommandError::ForeignHost { host }),
    }
}

/// What a call has closed, and whom it has drained.
pub struct Cordoned {
    pub windows: Vec<Window>,
    /// Those that begin with this call.
    pub own: Vec<WindowId>,
    /// Whether this call has changed anything, be it that it has mended a cordon.
    changed: bool,
    policy: Option<PathBuf>,
    blocked_after: Duration,
    drain: Option<DrainReport>,
    warnings: Vec<String>,
}

impl Cordoned {
    /// Whether nobody is left who was to be drained.
    pub fn is_drained(&self) -> bool {
        self.drain.as_ref().is_none_or(DrainReport::is_complete)
    }

    pub fn exit(&self) -> Exit {
        in_force::exit_after(self.drain.as_ref())
    }

    /// Says what has come of it, where the command goes on.
    pub fn tell(&mut self, context: &mut Context) {
        context.progress(&human::report(&self.report(context), context.paint));
        self.warn(context);
    }

    /// Says what the user should know.
    pub fn warn(&mut self, context: &mut Context) {
        let warnings = std::mem::take(&mut self.warnings);
        warnings.into_iter().for_each(|text| context.warn(text));
    }

    pub fn report(&self, context: &Context) -> Report {
        let outcome = match (self.is_drained(), self.own.is_empty()) {
            (false, _) => Outcome::Incomplete,
            (true, true) => Outcome::AlreadyCordoned,
            (true, false) => Outcome::Cordoned,
        };
        Report {
            command: context.command,
            changed: self.changed,
            policy: self.policy.clone(),
            windows: self.windows.clone(),
            drain: self.drain.clone(),
            blocked_after: Some(self.blocked_after),
            body: Body::Windows(outcome),
        }
    }
}

/// Raises what was planned and drains it. After a signal or an error nothing of this call is in
/// force.
pub fn cordon_and_drain(
    context: &mut Context,
    args: &Start,
    plan: &mut Plan,
    ownership: Ownership,
    foreground: &mut Foreground,
) -> Result<Cordoned, CommandError> {
    if !args.no_guard {
        let access = plan.settings.postgres.clone();
        context.firewall.leave_guards(access);
    }
    let raised = raise(context, plan, ownership)?;
    let blocked_after = raised.acknowledged.duration_since(context.began);
    let mut warnings = context.firewall.warnings();
    for found in &raised.found {
        let is_here = |cordon: &&Cordon| cordon.port == found.window.cordon.port;
        if let Some(cordon) = plan.cordons.iter().find(is_here) {
            warnings.extend(other_end(&found.window, cordon));
            warnings.extend(other_ramp(&found.window, cordon));
        }
        warnings.extend(in_force::mended(found));
    }
    audit::started(context.command, &raised.fresh, blocked_after);
    warnings.append(&mut plan.warnings);
    let listeners = plan.listeners.iter();
    warnings.extend(listeners.filter_map(|listeners| listeners.warning.clone()));

    let own: Vec<WindowId> = raised.fresh.iter().map(Window::id).collect();
    let orders = match args.no_drain {
        true => Vec::new(),
        false => plan.orders(&own, args),
    };
    let drains = drain::drain_all(&context.firewall, &orders);
    let drain = match foreground.wait(drains) {
        Ok(drain) => drain,
        Err(caught) => {
            take_back(context, foreground, &own, "interrupted by a signal")?;
            return Err(interrupted(caught));
        }
    };
    if let Some(drain) = &drain {
        audit::drained(orders.iter().map(|order| order.port), drain);
        if let Some(why) = drain.refused.clone() {
            take_back(context, foreground, &own, "those to be spared could not be known")?;
            return Err(CommandError::Spare { why });
        }
        if plan.settings.drain.strict && !drain.is_complete() {
            take_back(context, foreground, &own, "the drain was incomplete (--strict)")?;
            let drain = Box::new(drain.clone());
            return Err(CommandError::Strict { drain });
        }
    }

    let found = raised.found.iter();
    let changed = !own.is_empty() || found.clone().any(|found| found.changed);
    let mut windows = raised.fresh;
    windows.extend(found.map(|found| found.window.clone()));
    windows.sort_by_key(|window| window.cordon.port);
    if let Some(drain) = &drain {
        warnings.extend(in_force::read_again(context, &mut windows, drain));
        warnings.extend(drain.warnings.clone());
    }
    Ok(Cordoned {
        windows,
        own,
        changed,
        policy: plan.settings.file.clone(),
        blocked_after,
        drain,
        warnings,
    })
}

/// Raises what was planned, or nothing.
fn raise(
    context: &mut Context,
    plan: &mut Plan,
    ownership: Ownership,
) -> Result<Raised, CommandError> {
    for cordon in &mut plan.cordons {
        // Where nobody remote is connected no farewell is needed, and none has to be ended,
        // which would take the kernel longer than all the rest.
        if cordon.farewell < cordon.length && !has_remote(cordon)? {
            cordon.farewell = Duration::ZERO;
        }
    }
    for cordon in &plan.cordons {
        // What is away just now is a window all the same.
        if context.firewall.guard(cordon.port).is_some() {
            select::settle(&mut context.firewall, &[cordon.port])?;
        }
    }
    Ok(window::raise(&mut context.firewall, &plan.cordons, ownership)?)
}

/// Lifts what a call has raised that has failed, each port by itself: one that is stuck keeps
/// no other one closed.
pub fn take_back(
    context: &Context,
    foreground: &Foreground,
    own: &[WindowId],
    why: &str,
) -> Result<(), CommandError> {
    let lifts = own.iter().map(async |window| {
        let (firewall, own) = (context.firewall.clone(), [*window]);
        let lift = move || window::lift_own(&mut firewall.clone(), &own);
        in_thread(lift.clone()).await.unwrap_or_else(|_| lift())
    });
    let (mut left, mut first_error) = (Vec::new(), None);
    for lifted in foreground.runtime.block_on(join_all(lifts)) {
        match lifted {
            Ok(lifted) => audit::lifted(&lifted, why),
            Err(WindowError::Left { ports, source }) => {
                left.extend(ports);
                first_error.get_or_insert(source);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match first_error {
        None => Ok(()),
        Some(source) => Err(WindowError::Left { ports: left, source }.into()),
    }
}

/// What a command says that a signal has ended.
pub fn interrupted(caught: Signal) -> CommandError {
    CommandError::Interrupted(match caught {
        Signal::HUP => Exit::HungUp,
        Signal::INT => Exit::Interrupted,
        Signal::QUIT => Exit::Quit,
        _ => Exit::Terminated,
    })
}

/// Says so where a window in force ends before what was asked for.
fn other_end(window: &Window, cordon: &Cordon) -> Option<String> {
    (window.cordon.length < cordon.length).then(|| {
        format!(
            "the window on port {} ends in {}, before what was asked; pgcordon extend --for {} moves its end",
            cordon.port,
            show::duration(window.cordon.length),
            show::exactly(cordon.length)
        )
    })
}

/// Says so where a window in force has another ramp than what was asked for.
fn other_ramp(window: &Window, cordon: &Cordon) -> Option<String> {
    let ramp = cordon.ramp.filter(|_| window.cordon.ramp != cordon.ramp)?;
    let has = match window.cordon.ramp {
        Some(other) => {
            format!("another ramp ({} at {})", show::duration(other.length), Rate(other.per_second))
        }
        None => "no ramp".to_owned(),
    };
    Some(format!(
        "the window on port {} has {has}; pgcordon lift --ramp {} --ramp-rate {} ends it with this one",
        window.cordon.port,
        show::exactly(ramp.length),
        Rate(ramp.per_second)
    ))
}

/// Whether a remote client has a socket of the port, in any state.
fn has_remote(cordon: &Cordon) -> Result<bool, CommandError> {
    let look = || -> std::io::Result<bool> {
        let sockets = Sockets::open()?.connected(cordon.port)?;
        let mut classifier = Classifier::new(&cordon.pass, &[])?;
        for socket in &sockets {
            let counts = socket.state.is_open() || socket.state.is_closing();
            if counts && classifier.cuts(socket)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    look().map_err(CommandError::Sockets)
}
