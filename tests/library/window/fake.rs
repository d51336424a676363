//! A firewall in memory. What is to go wrong is put before or after one of its calls.

use pgcordon::testing::cordon::{Cordon, Counter, PassList, Window};
use pgcordon::testing::firewall::{Change, Detail, Firewall, FirewallError, TableState};
use pgcordon::testing::window::{Guards, LockError};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Ports,
    Read,
    Raise,
    Change,
    Remove,
}

/// When something is to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With an error, the call is not made.
    Before(Call),
    /// With an error, the call's answer is lost.
    After(Call),
}

#[derive(Default)]
pub struct State {
    pub tables: BTreeMap<u16, Table>,
    pub now: Duration,
}

pub struct Table {
    pub cordon: Cordon,
    pub faults: Vec<String>,
    pub blocked: Counter,
    as_of: Duration,
}

type Surprise = Box<dyn FnOnce(&mut State) -> Result<(), FirewallError>>;

#[derive(Default)]
pub struct Fake {
    pub state: State,
    /// The guards that are alive, by port.
    pub guards: BTreeMap<u16, u32>,
    /// How the next attempts to lock fail.
    pub lock_errors: VecDeque<LockError>,
    /// Every call that was to change something.
    pub changes: Vec<Call>,
    surprises: Vec<(When, usize, Surprise)>,
}

impl Fake {
    /// One with these cordons in force.
    pub fn with(cordons: impl IntoIterator<Item = Cordon>) -> Self {
        let mut fake = Self::default();
        for cordon in cordons {
            fake.state.write(cordon);
        }
        fake
    }

    /// Does this at the `nth` such call from now on.
    pub fn on(
        &mut self,
        when: When,
        nth: usize,
        surprise: impl FnOnce(&mut State) -> Result<(), FirewallError> + 'static,
    ) {
        self.surprises.push((when, nth, Box::new(surprise)));
    }

    pub fn pass_time(&mut self, time: Duration) {
        self.state.now += time;
    }

    pub fn window(&self, port: u16) -> Option<Window> {
        self.state.window(port, Detail::Whole)
    }

    pub fn tables(&self) -> Vec<u16> {
        self.state.tables.keys().copied().collect()
    }

    fn surprise(&mut self, now: When) -> Result<(), FirewallError> {
        let mut surprises = self.surprises.iter_mut();
        let due = surprises.position(|(when, left, _)| {
            *left -= usize::from(*when == now);
            *left == 0
        });
        match due.map(|due| self.surprises.remove(due)) {
            Some((_, _, surprise)) => surprise(&mut self.state),
            None => Ok(()),
        }
    }

    fn call<T>(
        &mut self,
        call: Call,
        work: impl FnOnce(&mut State) -> Result<T, FirewallError>,
    ) -> Result<T, FirewallError> {
        if !matches!(call, Call::Ports | Call::Read) {
            self.changes.push(call);
        }
        self.surprise(When::Before(call))?;
        let answer = work(&mut self.state)?;
        self.surprise(When::After(call))?;
        Ok(answer)
    }
}

impl State {
    pub fn write(&mut self, cordon: Cordon) {
        let table =
            Table { faults: Vec::new(), blocked: Counter::default(), as_of: self.now, cordon };
        self.tables.insert(table.cordon.port, table);
    }

    fn delete(&mut self, ports: &[u16]) -> Result<(), FirewallError> {
        for port in ports {
            self.tables.remove(port).ok_or_else(missing)?;
        }
        Ok(())
    }

    fn window(&self, port: u16, detail: Detail) -> Option<Window> {
        let table = self.tables.get(&port)?;
        let mut cordon = table.cordon.clone().after(self.now - table.as_of);
        if detail == Detail::Block {
            cordon.pass = PassList::default();
        }
        (!cordon.length.is_zero()).then(|| Window {
            ends_at: SystemTime::now() + cordon.length,
            blocked: table.blocked,
            knocks: Vec::new(),
            pass_was_read: detail == Detail::Whole,
            cordon,
        })
    }
}

fn missing() -> FirewallError {
    let step = "find the table".to_owned();
    FirewallError::Missing { step }
}

impl Firewall for Fake {
    fn ports(&mut self) -> Result<Vec<u16>, FirewallError> {
        self.call(Call::Ports, |state| Ok(state.tables.keys().copied().collect()))
    }

    fn read(&mut self, port: u16, detail: Detail) -> Result<Option<TableState>, FirewallError> {
        self.call(Call::Read, |state| {
            Ok(state.tables.get(&port).map(|table| TableState {
                port,
                window: state.window(port, detail),
                faults: table.faults.clone(),
            }))
        })
    }

    fn raise(&mut self, cordons: &[Cordon], leftovers: &[u16]) -> Result<Instant, FirewallError> {
        self.call(Call::Raise, |state| {
            state.delete(leftovers)?;
            for cordon in cordons {
                if state.tables.contains_key(&cordon.port) {
                    return Err(FirewallError::Exists);
                }
                state.write(cordon.clone());
            }
            Ok(Instant::now())
        })
    }

    fn change(&mut self, changes: &[(u16, Change)]) -> Result<(), FirewallError> {
        self.call(Call::Change, |state| {
            for (port, change) in changes {
                let table = state.tables.get_mut(port).ok_or_else(missing)?;
                let cordon = table.cordon.clone().after(state.now - table.as_of);
                table.cordon = change.clone().applied_to(cordon);
                table.as_of = state.now;
            }
            Ok(())
        })
    }

    fn remove(&mut self, ports: &[u16]) -> Result<(), FirewallError> {
        self.call(Call::Remove, |state| state.delete(ports))
    }
}

impl Guards for Fake {
    type Lock = ();

    fn lock(&mut self, ports: &[u16]) -> Result<Vec<()>, LockError> {
        match self.lock_errors.pop_front() {
            Some(error) => Err(error),
            None => Ok(vec![(); ports.len()]),
        }
    }

    fn guard(&mut self, port: u16) -> Option<u32> {
        self.guards.get(&port).copied()
    }

    fn dismiss(&mut self, port: u16) -> Result<(), FirewallError> {
        self.guards.remove(&port);
        Ok(())
    }
}
