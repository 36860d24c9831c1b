//! Unnamed network namespaces.
//!
//! A namespace lives as long as something refers to it: here an open file of this process, and the thread and
//! processes inside it. When the process ends, in whatever way, the kernel takes all of it down, links included.
//! Nothing is written to `/run/netns`.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::command::{Command, Output};
use crate::error::{LabError, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Settings that a new namespace would otherwise inherit from the machine (IPv4) or that make it slow or noisy
/// (IPv6); see the kernel's `Documentation/networking/ip-sysctl.rst`, `devconf_inherit_init_net`.
const DEFAULTS: [(&str, &str); 9] = [
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/router_solicitations", "0"),
];

/// A network namespace with its own `/sys` (as `ip netns exec` gives), loopback up, nothing else in it.
///
/// Clones refer to the same namespace.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    lab: String,
    file: File,
    jobs: Option<Sender<Job>>,
    warden: Option<JoinHandle<()>>,
}

impl Namespace {
    /// Creates a namespace. `name` is for messages, `lab` marks its processes (environment variable
    /// `GRIDWAY_LAB`) and its loopback interface (alias `<lab>/<name>`).
    ///
    /// # Errors
    /// [`LabError::Io`] when the kernel refuses (usually: not root).
    pub fn create(name: &str, lab: &str) -> Result<Self> {
        let (ready, outcome) = mpsc::channel();
        let (jobs, queue) = mpsc::channel::<Job>();
        // The parent-death signal of a child is sent when the *thread* that forked it ends, so children are
        // forked by a thread that lives as long as the namespace: the warden.
        let warden = thread::Builder::new()
            .name(format!("ns-{name}"))
            .spawn(move || {
                let entered = isolate();
                let usable = entered.is_ok();
                if ready.send(entered).is_ok() && usable {
                    queue.into_iter().for_each(|job| job());
                }
            })
            .map_err(LabError::io("start a namespace's thread"))?;
        let file = outcome
            .recv()
            .map_err(|_| LabError::Unsupported(format!("the thread of namespace {name} ended early")))?
            .map_err(LabError::io(format!("create network namespace {name}")))?;
        let namespace = Self(Arc::new(Inner {
            name: name.to_owned(),
            lab: lab.to_owned(),
            file,
            jobs: Some(jobs),
            warden: Some(warden),
        }));
        for (key, value) in DEFAULTS {
            namespace.sysctl(key, value)?;
        }
        namespace.ip_batch(&format!("link set lo up alias {lab}/{name}"))?;
        Ok(namespace)
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Identity of the laboratory it belongs to.
    #[must_use]
    pub fn lab(&self) -> &str {
        &self.0.lab
    }

    /// A path other programs can open while this process lives: `nsenter --net=PATH`, `ip … netns PATH`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.file.as_raw_fd()))
    }

    /// Number that `/proc/PID/ns/net` shows for processes in it.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn inode(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.0.file.metadata().map_err(LabError::io("stat a namespace"))?;
        Ok(metadata.ino())
    }

    /// Runs `action` on a new thread inside the namespace and returns its value. Sockets and devices that it
    /// opens stay in the namespace and may be used from any thread afterwards.
    ///
    /// # Errors
    /// [`LabError::Io`] when the namespace cannot be entered.
    ///
    /// # Panics
    /// With the panic of `action`.
    pub fn enter<R: Send>(&self, action: impl FnOnce() -> R + Send) -> Result<R> {
        let outcome = thread::scope(|scope| {
            let visitor = scope.spawn(|| setns(&self.0.file, CloneFlags::CLONE_NEWNET).map(|()| action()));
            visitor.join()
        });
        match outcome {
            Ok(result) => result.map_err(LabError::io(format!("enter network namespace {}", self.name()))),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// A program to be run inside.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        Command::new(self.clone(), program.as_ref())
    }

    /// Runs a program to its end and insists on success.
    ///
    /// # Errors
    /// [`LabError::Failed`] with its standard error, [`LabError::Timeout`] after 30 s.
    pub fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output> {
        self.command(program).args(args).run()
    }

    /// Runs `ip` with `line` split at white space: `ns.ip("route add 172.16.2.0/24 dev eth0")`.
    ///
    /// # Errors
    /// As [`Namespace::run`].
    pub fn ip(&self, line: &str) -> Result<Output> {
        self.run("ip", line.split_whitespace())
    }

    /// Runs many `ip` commands, one a line, in one process; stops at the first that fails.
    ///
    /// # Errors
    /// As [`Namespace::run`]; the message names the line.
    pub fn ip_batch(&self, lines: &str) -> Result<Output> {
        self.command("ip").args(["-batch", "-"]).stdin(lines).run()
    }

    /// Sets a kernel parameter of this namespace; `key` is its path below `/proc/sys`.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.enter(|| std::fs::write(format!("/proc/sys/{key}"), value))?
            .map_err(LabError::io(format!("set {key}={value} in {}", self.name())))
    }

    /// Reads a kernel parameter of this namespace.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn read_sysctl(&self, key: &str) -> Result<String> {
        self.enter(|| std::fs::read_to_string(format!("/proc/sys/{key}")))?
            .map(|text| text.trim().to_owned())
            .map_err(LabError::io(format!("read {key} in {}", self.name())))
    }

    /// Forks on the warden's thread.
    pub(crate) fn spawn(&self, mut command: std::process::Command) -> Result<std::process::Child> {
        let what = format!("start {command:?} in {}", self.name());
        let (sender, receiver) = mpsc::channel();
        let job: Job = Box::new(move || {
            // The receiver waits below; if it is gone so is the caller, and the child has no use.
            if let Err(mpsc::SendError(Ok(mut orphan))) = sender.send(command.spawn()) {
                let _ = orphan.kill();
                let _ = orphan.wait();
            }
        });
        let gone = || LabError::Unsupported(format!("the thread of namespace {} has ended", self.name()));
        self.0.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        receiver.recv().map_err(|_| gone())?.map_err(LabError::io(what))
    }
}

/// Moves the calling thread into a new network namespace with a `/sys` that shows it.
fn isolate() -> nix::Result<File> {
    // Mount points are private to this thread and its children: `/sys` of the rest of the process stays.
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none)?;
    File::open("/proc/thread-self/ns/net")
        .map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO)))
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(warden) = self.warden.take()
            && warden.join().is_err()
        {
            eprintln!("the thread of namespace {} panicked", self.name);
        }
    }
}
