//! Programs that are stopped at every boundary between them and the kernel: before and
//! after each system call (ptrace(2)).
//!
//! strace can inject signals and errors, too. But it counts the calls of each name apart,
//! and knows no socket from another: "kill it at its 317th call, whatever that is", and
//! "the third request to nftables is refused" cannot be said to it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::host::Host;
use super::outcome::Outcome;
use super::program::Program;

/// Stops itself until it is traced, then becomes the program.
const STOP_FIRST: &str = r#"kill -s STOP $$; exec "$@""#;

/// What is to happen at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    GoOn,
    /// The program is killed: before a call it never happens, after it the program never
    /// hears of it.
    Kill,
    /// The kernel never sees the call, and the program is told this. Before a call only.
    Skip(i64),
    /// The program is told this, whatever the kernel says. After a call only.
    Tell(i64),
}

/// A system call, seen from one of its two boundaries.
#[derive(Debug)]
pub struct Call {
    task: Pid,
    /// Which one of the program's calls it is, from 0.
    pub count: usize,
    /// Its number, as `libc::SYS_sendmsg`.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// What the kernel has said; `None` before the call.
    pub result: Option<i64>,
}

impl Call {
    /// The process id that the program has in its lab.
    pub fn pid_in_lab(&self) -> i32 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.task));
        let status = status.expect("its status");
        let ids = status.lines().find(|line| line.starts_with("NSpid:"));
        let last = ids.and_then(|line| line.split_whitespace().last());
        last.and_then(|id| id.parse().ok()).expect("a process id")
    }

    /// So many bytes of the program's memory.
    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let memory = File::open(format!("/proc/{}/mem", self.task)).expect("its memory");
        memory.read_exact_at(&mut bytes, address).expect("memory");
        bytes
    }

    /// A number in the program's memory.
    pub fn read_u64(&self, address: u64) -> u64 {
        u64::from_ne_bytes(self.read(address, 8).try_into().expect("eight bytes"))
    }

    /// Writes into the program's memory.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        let memory = File::options().write(true).open(format!("/proc/{}/mem", self.task));
        let memory = memory.expect("its memory");
        memory.write_all_at(bytes, address).expect("memory");
    }
}

impl Program {
    /// Runs it to its end, and asks at every boundary what is to happen there. Children
    /// that it leaves behind are not looked at. Gives also how many calls it has made.
    pub fn run_traced(self, mut watch: impl FnMut(&Call) -> Order + Send) -> (Outcome, usize) {
        let limit = self.limit;
        let mut running = self.under(["sh", "-c", STOP_FIRST, "traced"]).spawn();
        let (status, calls) = trace(running.pid(), limit, |tracer| {
            tracer.begin();
            tracer.run(&mut watch)
        });
        running.has_ended(status);
        (running.wait(Duration::ZERO), calls)
    }
}

impl Host {
    /// Asks at every boundary of a process that is there already, by its id in the lab, what
    /// is to happen, until it has ended. Says how many calls it has made meanwhile.
    pub fn trace(
        &self,
        pid: i32,
        limit: Duration,
        mut watch: impl FnMut(&Call) -> Order + Send,
    ) -> usize {
        let outside = self.pid_outside(pid);
        let (_, calls) = trace(outside, limit, |tracer| {
            tracer.attach();
            tracer.run(&mut watch)
        });
        calls
    }
}

/// Traces in a thread of its own: what is traced belongs to the thread that traces it.
fn trace<T: Send>(pid: u32, limit: Duration, work: impl FnOnce(&mut Tracer) -> T + Send) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let tracer = scope.spawn(move || {
            let _done = done;
            work(&mut Tracer::new(pid))
        });
        if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
            panic!("process {pid} did not end within {limit:?} under the tracer");
        }
        tracer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// One program under a tracer.
struct Tracer {
    program: Pid,
    /// What a task is to be told of the call that it is in.
    skipped: HashMap<Pid, i64>,
    /// Whether the program has taken the place of what stopped itself.
    begun: bool,
    calls: usize,
}

impl Tracer {
    fn new(pid: u32) -> Tracer {
        Tracer {
            program: Pid::from_raw(i32::try_from(pid).expect("a pid")),
            skipped: HashMap::new(),
            begun: false,
            calls: 0,
        }
    }

    /// Takes hold of a child that stops itself before it becomes the program.
    fn begin(&mut self) {
        let stopped = waitpid(self.program, Some(WaitPidFlag::WUNTRACED));
        assert_eq!(stopped, Ok(WaitStatus::Stopped(self.program, Signal::SIGSTOP)));
        self.seize();
        kill(self.program, Signal::SIGCONT).expect("SIGCONT");
    }

    /// Takes hold of a process wherever it is.
    fn attach(&mut self) {
        self.seize();
        self.begun = true;
        ptrace::interrupt(self.program).expect("interrupt");
    }

    fn seize(&self) {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(self.program, options).expect("seize");
    }

    /// Lets it go on to its end.
    fn run(&mut self, watch: &mut dyn FnMut(&Call) -> Order) -> (ExitStatus, usize) {
        loop {
            // Only what this thread traces: other tests have children, too.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let status = waitpid(Pid::from_raw(-1), Some(flags)).expect("waitpid");
            match status {
                WaitStatus::Exited(pid, code) if pid == self.program => {
                    return (ExitStatus::from_raw(code << 8), self.calls);
                }
                WaitStatus::Signaled(pid, signal, _) if pid == self.program => {
                    return (ExitStatus::from_raw(signal as i32), self.calls);
                }
                WaitStatus::PtraceSyscall(task) => self.at_boundary(task, watch),
                WaitStatus::PtraceEvent(task, _, event) => {
                    self.begun |= event == libc::PTRACE_EVENT_EXEC;
                    if self.is_of_program(task) {
                        self.go_on(task, None);
                    } else {
                        let _ = ptrace::detach(task, None);
                    }
                }
                WaitStatus::Stopped(task, signal) => self.go_on(task, Some(signal)),
                _ => {}
            }
        }
    }

    /// Whether a task is the program or one of its threads.
    fn is_of_program(&self, task: Pid) -> bool {
        let status = fs::read_to_string(format!("/proc/{task}/status"));
        let group = format!("\nTgid:\t{}\n", self.program);
        status.is_ok_and(|status| status.contains(&group))
    }

    /// It may have been killed meanwhile, which the next word of it tells.
    fn go_on(&self, task: Pid, signal: Option<Signal>) {
        let _ = match self.begun {
            true => ptrace::syscall(task, signal),
            false => ptrace::cont(task, signal),
        };
    }

    fn at_boundary(&mut self, task: Pid, watch: &mut dyn FnMut(&Call) -> Order) {
        let Ok((info, registers)) =
            ptrace::syscall_info(task).and_then(|info| Ok((info, ptrace::getregs(task)?)))
        else {
            return; // It was killed.
        };
        let is_before = info.op == libc::PTRACE_SYSCALL_INFO_ENTRY;
        if let (false, Some(answer)) = (is_before, self.skipped.remove(&task)) {
            self.tell(task, registers, answer);
            return self.go_on(task, None);
        }
        if is_before {
            self.calls += 1;
        }
        let call = Call {
            task,
            count: self.calls.saturating_sub(1),
            number: registers.orig_rax as i64,
            arguments: [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
            result: (!is_before).then_some(registers.rax as i64),
        };
        match watch(&call) {
            Order::GoOn => {}
            Order::Kill => {
                kill(self.program, Signal::SIGKILL).expect("SIGKILL");
                return;
            }
            Order::Skip(answer) => {
                assert!(is_before, "a call that has happened cannot be skipped");
                self.skipped.insert(task, answer);
                // The kernel knows no call of this number.
                let none = user_regs_struct { orig_rax: u64::MAX, ..registers };
                ptrace::setregs(task, none).expect("setregs");
            }
            Order::Tell(answer) => {
                assert!(!is_before, "nothing can be told before the call");
                self.tell(task, registers, answer);
            }
        }
        self.go_on(task, None);
    }

    fn tell(&self, task: Pid, registers: user_regs_struct, answer: i64) {
        let told = user_regs_struct { rax: answer as u64, ..registers };
        ptrace::setregs(task, told).expect("setregs");
    }
}
