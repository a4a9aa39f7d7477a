//! A throw-away sshd on this machine, with keys of its own.

use crate::skip::skip;
use kubewright::cluster::site::Access;
use kubewright::host::Ssh;
use kubewright::host::ssh::Operator;
use kubewright::host::ssh::SshError;
use kubewright::host::ssh::config::SshConfig;
use kubewright::host::ssh::prompt::Answers;
use kubewright::host::ssh::prompt::Ask;
use kubewright::host::ssh::prompt::Nobody;
use kubewright::host::ssh::prompt::Question;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;
use zeroize::Zeroizing;

const SSHD: [&str; 2] = ["/usr/sbin/sshd", "/usr/lib/ssh/sshd"];

/// A port at which nobody listens.
pub(crate) const CLOSED: u16 = 1;

/// A port of this machine where whoever connects waits: the queue of those to be let in is full.
pub(crate) struct Silent {
    pub(crate) port: u16,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Silent {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let join = |()| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let queue = std::iter::repeat(()).map_while(join).take(64).collect();
        Self { port: address.port(), _listener: listener, _queue: queue }
    }
}

/// The program; says why there is none.
pub(crate) fn sshd(test: &str) -> Option<&'static str> {
    let found = SSHD.into_iter().find(|path| Path::new(path).is_file());
    if found.is_none() {
        skip(test, "there is no sshd here (openssh-server)");
    }
    found
}

/// The user that the tests run as.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs a program that must succeed.
pub(crate) fn ok(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key of this type; the public one is beside it.
pub(crate) fn make_key(path: &Path, kind: &str, passphrase: &str) {
    ok("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", "a test", "-f", path.to_str().unwrap()]);
}

/// The public key beside a key.
pub(crate) fn public(path: &Path) -> String {
    fs::read_to_string(format!("{}.pub", path.display())).unwrap().trim().to_owned()
}

/// What `ssh-keygen -l` says of a public key.
pub(crate) fn fingerprint(path: &Path) -> String {
    let line = ok("ssh-keygen", &["-l", "-f", path.to_str().unwrap()]);
    line.split(' ').nth(1).unwrap().to_owned()
}

/// A server, ended with the test.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) port: u16,
    child: Child,
    config: PathBuf,
    program: &'static str,
}

/// How a server is made.
pub(crate) struct Setup {
    pub(crate) host_keys: &'static [&'static str],
    /// More lines of `sshd_config`.
    pub(crate) lines: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self { host_keys: &["ed25519"], lines: String::new() }
    }
}

impl Server {
    /// A server that lets the test in with the key `client`; none where there is no sshd.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::with(test, &Setup::default())
    }

    pub(crate) fn with_lines(test: &str, lines: &str) -> Option<Self> {
        Self::with(test, &Setup { lines: lines.to_owned(), ..Setup::default() })
    }

    pub(crate) fn with(test: &str, setup: &Setup) -> Option<Self> {
        let program = sshd(test)?;
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        fs::create_dir(at.join("home")).unwrap();
        make_key(&at.join("client"), "ed25519", "");
        fs::write(at.join("authorized"), public(&at.join("client"))).unwrap();
        let mut config_text = format!(
            "ListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {0}/authorized\nKbdInteractiveAuthentication no\nPasswordAuthentication no\n\
             LogLevel VERBOSE\nMaxStartups 100\nUseDNS no\nSetEnv HOME={0}/home\n",
            at.display()
        );
        for kind in setup.host_keys {
            let key = at.join(format!("host_{kind}"));
            make_key(&key, kind, "");
            writeln!(config_text, "HostKey {}", key.display()).unwrap();
        }
        // For each keyword the first value counts.
        let config = at.join("sshd_config");
        fs::write(&config, format!("{}\n{config_text}", setup.lines.replace("@DIR@", at.to_str().unwrap())))
            .unwrap();
        // Between our looking for a free port and its binding it, another test may take it.
        let (child, port) = (0..9)
            .find_map(|_| {
                let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                Some((spawn(program, &config, at, port)?, port))
            })
            .expect("a port is free");
        let server = Self { directory, port, child, config, program };
        server.know(setup.host_keys);
        Some(server)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes the known hosts name these keys.
    pub(crate) fn know(&self, kinds: &[&str]) {
        let line = |kind: &&str| {
            let key = public(&self.path(&format!("host_{kind}")));
            format!("[127.0.0.1]:{} {key}\n", self.port)
        };
        fs::write(self.path("known_hosts"), kinds.iter().map(line).collect::<String>()).unwrap();
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Ends the server and every connection to it.
    pub(crate) fn kill(&mut self) {
        for process in descendants(self.child.id()) {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends the processes that serve connections, and lets the server live.
    pub(crate) fn cut_connections(&self) {
        for process in descendants(self.child.id()) {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.child = (0..50)
            .find_map(|_| {
                thread::sleep(Duration::from_millis(20));
                spawn(self.program, &self.config, self.directory.path(), self.port)
            })
            .expect("its port is free again");
    }

    pub(crate) fn access(&self) -> Access {
        Access {
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            user: Some(user()),
            identity_file: Some(self.path("client").display().to_string()),
            connect_timeout: Some(Duration::from_secs(10)),
            sudo: kubewright::cluster::site::Sudo::Never,
            ..Access::default()
        }
    }

    pub(crate) fn operator(&self) -> Operator {
        operator(&self.path("home"), &self.path("known_hosts"))
    }

    pub(crate) fn connect(&self) -> Ssh {
        Ssh::connect("box", &self.access(), &self.operator()).unwrap()
    }

    pub(crate) fn connect_with(
        &self,
        change: impl FnOnce(&mut Access, &mut Operator),
    ) -> Result<Ssh, SshError> {
        let (mut access, mut operator) = (self.access(), self.operator());
        change(&mut access, &mut operator);
        Ssh::connect("box", &access, &operator)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An operator whose machine has nothing but known hosts.
pub(crate) fn operator(home: &Path, known_hosts: &Path) -> Operator {
    Operator {
        home: Some(home.to_owned()),
        user: Some(user()),
        agent: None,
        password: None,
        sudo_password: None,
        passphrase: None,
        config: SshConfig::default(),
        known_hosts: vec![known_hosts.to_owned()],
        answers: Answers::new(Arc::new(Nobody)),
    }
}

/// A server that listens at the port; none where somebody else does.
fn spawn(program: &str, config: &Path, directory: &Path, port: u16) -> Option<Child> {
    // As root sshd wants the directory of its package.
    let _ = fs::create_dir_all("/run/sshd");
    let path = directory.join("log");
    let log = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let before = fs::read_to_string(&path).unwrap().len();
    let mut child = Command::new(program)
        .args(["-D", "-e", "-p", &port.to_string(), "-f", config.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        let said = fs::read_to_string(&path).unwrap().split_off(before);
        if said.contains(&format!("Server listening on 127.0.0.1 port {port}.")) {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            assert!(said.contains("Address already in use"), "sshd does not start: {said}");
            return None;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "sshd does not listen: {said}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Processes that a process started, directly or not.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let text = ok("ps", &["-eo", "pid=,ppid="]);
    let pairs: Vec<(u32, u32)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect();
    let mut found = vec![of];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(pairs.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        at += 1;
    }
    found.split_off(1)
}

/// Runs a test in a process of its own, where nobody else uses memory and processor; yes in that process.
pub(crate) fn alone(test: &str) -> bool {
    if std::env::var_os("KUBEWRIGHT_ALONE").is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("KUBEWRIGHT_ALONE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    print!("{said}");
    false
}

/// Answers every question from a list, and remembers what was asked.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) answers: Mutex<Vec<&'static str>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new(answers: &[&'static str]) -> Arc<Self> {
        let mut answers = answers.to_vec();
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Ask for Scripted {
    fn ask(&self, question: &Question, again: bool) -> Option<Zeroizing<String>> {
        let again = if again { " (again)" } else { "" };
        self.asked.lock().unwrap().push(format!("{question}{again}"));
        self.answers.lock().unwrap().pop().map(|answer| Zeroizing::new(answer.to_owned()))
    }
}
