//! Connections: bastions, lost ones, many at once, and how the operator's configuration leads to them.

use crate::ssh::server::CLOSED;
use crate::ssh::server::Server;
use crate::ssh::server::Silent;
use crate::ssh::server::operator;
use crate::ssh::server::user;
use kubewright::cluster::site::Access;
use kubewright::cluster::site::HostKeyChecking;
use kubewright::host::Change;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::ssh::Operator;
use kubewright::host::ssh::Ssh;
use kubewright::host::ssh::Trouble;
use kubewright::host::ssh::config::SshConfig;
use kubewright::host::ssh::connect_all;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use std::time::Instant;

fn sh(script: &str) -> Command {
    Command::query("sh").args(["-c", script]).timeout(Duration::from_secs(20))
}

/// Ends the server process of the connection that runs it.
const CUT: &str = "kill -9 $(ps -o ppid= -p $PPID)";

fn logins(server: &Server) -> usize {
    server.log().matches("Accepted publickey").count()
}

#[test]
fn a_lost_connection_is_made_again_for_what_only_looks() {
    let Some(server) = Server::start("a_lost_connection_is_made_again_for_what_only_looks") else { return };
    let ssh = server.connect();
    // While something that looks is running.
    let marker = server.path("once").display().to_string();
    let once = format!("if [ -e {marker} ]; then echo twice; else touch {marker}; {CUT}; sleep 9; fi");
    assert_eq!(ssh.run(&sh(&once)).unwrap().text(), "twice");
    assert_eq!(logins(&server), 2);
    // While something that changes is running: it is told, and not repeated.
    fs::remove_file(&marker).unwrap();
    let error = ssh.run(&Command { changes: true, ..sh(&once) }).unwrap_err();
    assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("run again"), "{error}");
    assert_eq!(logins(&server), 2);
    // Between two operations nothing is in doubt.
    assert_eq!(ssh.run(&Command { changes: true, ..sh("echo back") }).unwrap().text(), "back");
    server.cut_connections();
    thread::sleep(Duration::from_millis(300));
    let path = server.path("written").display().to_string();
    ssh.write(&path, &Entry::file("x", 0o600)).unwrap();
    assert_eq!(logins(&server), 4);
    server.cut_connections();
    assert_eq!(ssh.read(&path).unwrap().unwrap().content(), Some(&b"x"[..]));
    // One that is lost twice is told.
    let error = ssh.run(&sh(&format!("{CUT}; sleep 9"))).unwrap_err();
    assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
}

#[test]
fn a_stream_that_is_cut_off_changes_nothing_by_halves() {
    let Some(server) = Server::start("a_stream_that_is_cut_off_changes_nothing_by_halves") else { return };
    let ssh = server.connect();
    let path = server.path("big").display().to_string();
    fs::write(&path, "old").unwrap();
    let changes = [Change::Write { path: path.clone(), entry: Entry::file(vec![1; 300 << 20], 0o600) }];
    thread::scope(|scope| {
        let writing = scope.spawn(|| ssh.change_many(&changes));
        thread::sleep(Duration::from_millis(300));
        server.cut_connections();
        let error = writing.join().unwrap().unwrap_err();
        assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    // The next one replaces what was left behind.
    ssh.write(&path, &Entry::file("new", 0o600)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert!(!server.path(".kubewright-new").exists());
}

#[test]
fn a_server_that_is_gone_is_told_with_the_number_of_attempts() {
    let Some(mut server) = Server::start("a_server_that_is_gone_is_told_with_the_number_of_attempts") else {
        return;
    };
    let ssh = server.connect();
    server.kill();
    let error = ssh.run(&sh("true")).unwrap_err();
    let HostError::Ssh(error) = error else { panic!("{error:?}") };
    assert_eq!(error.trouble, Trouble::Unreachable);
    assert!(error.to_string().contains("3 attempts"), "{error}");
    // One that was away is not waited for thrice again.
    let error = ssh.run(&sh("true")).unwrap_err();
    assert!(!error.to_string().contains("attempts"), "{error}");
    server.restart();
    assert!(ssh.run(&sh("true")).unwrap().success());
    // Somebody who accepts and says nothing is not waited for longer than was asked.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let start = Instant::now();
    let error = server.connect_with(|access, _| {
        access.port = Some(port);
        access.connect_timeout = Some(Duration::from_secs(1));
    });
    assert_eq!(error.map(drop).unwrap_err().trouble, Trouble::Unreachable);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // And one who speaks another language is no sshd.
    thread::spawn(move || {
        for stream in silent.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = server.connect_with(|access, _| access.port = Some(port)).map(drop).unwrap_err();
    assert!(matches!(error.trouble, Trouble::Unreachable | Trouble::Protocol), "{error}");
}

#[test]
fn a_cable_that_is_pulled_is_noticed() {
    let Some(server) = Server::start("a_cable_that_is_pulled_is_noticed") else { return };
    fs::write(server.path("config"), "ServerAliveInterval 1\n").unwrap();
    let config = SshConfig::read(&[server.path("config")], None).unwrap();
    let ssh = server.connect_with(|_, operator| operator.config = config).unwrap();
    // A stopped process acknowledges what comes and answers nothing: the kernel's own watch sees no trouble.
    let stopped = crate::ssh::server::descendants(server.process());
    let command = sh("echo begun; sleep 300").timeout(Duration::from_mins(5));
    thread::scope(|scope| {
        let running = scope.spawn(|| ssh.run(&Command { changes: true, ..command }));
        thread::sleep(Duration::from_secs(1));
        signal(&stopped, "STOP");
        let start = Instant::now();
        let error = running.join().unwrap().unwrap_err();
        signal(&stopped, "CONT");
        assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
        let took = start.elapsed();
        assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&took), "{took:?}");
    });
}

fn signal(processes: &[u32], name: &str) {
    for process in processes {
        let _ = std::process::Command::new("kill").args(["-s", name, &process.to_string()]).status();
    }
}

/// Servers that know each other's hosts, and an operator who knows all of them.
fn chain(test: &str, count: usize) -> Option<(Vec<Server>, Operator)> {
    let servers: Vec<Server> = (0..count).map(|_| Server::start(test)).collect::<Option<_>>()?;
    let known: String =
        servers.iter().map(|server| fs::read_to_string(server.path("known_hosts")).unwrap()).collect();
    // Everybody lets the first one's client in.
    for server in &servers[1..] {
        fs::copy(servers[0].path("authorized"), server.path("authorized")).unwrap();
    }
    fs::write(servers[0].path("all_known"), known).unwrap();
    let operator = operator(&servers[0].path("home"), &servers[0].path("all_known"));
    Some((servers, operator))
}

fn hop(server: &Server) -> String {
    format!("{}@127.0.0.1:{}", user(), server.port)
}

fn target(servers: &[Server]) -> Access {
    let last = servers.last().unwrap();
    Access {
        identity_file: Some(servers[0].path("client").display().to_string()),
        bastions: servers[..servers.len() - 1].iter().map(hop).collect(),
        ..last.access()
    }
}

#[test]
fn hosts_behind_two_bastions_are_reached() {
    let Some((servers, operator)) = chain("hosts_behind_two_bastions_are_reached", 3) else { return };
    let access = target(&servers);
    let ssh = Ssh::connect("deep", &access, &operator).unwrap();
    let output =
        ssh.run(&sh("echo $SSH_CONNECTION; head -c 30000000 /dev/zero | tr '\\0' x").stdin("")).unwrap();
    assert_eq!(output.status, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.ends_with(&servers[2].port.to_string()), "{first}");
    assert_eq!(rest.len(), 30_000_000);
    for server in &servers {
        assert_eq!(logins(server), 1);
    }
    // A bastion need not let us run anything.
    drop(ssh);
    let one = Access { bastions: vec![[hop(&servers[0]), hop(&servers[1])].join(",")], ..access.clone() };
    Ssh::connect("deep", &one, &operator).unwrap();
    // The second bastion's process dies: everything is made anew.
    let ssh = Ssh::connect("deep", &access, &operator).unwrap();
    servers[1].cut_connections();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(ssh.run(&sh("echo again")).unwrap().text(), "again");
}

#[test]
fn a_bastion_is_connected_to_once_for_all_hosts_behind_it() {
    let test = "a_bastion_is_connected_to_once_for_all_hosts_behind_it";
    let Some((servers, operator)) = chain(test, 2) else { return };
    let access = target(&servers);
    let hosts: Vec<_> = (0..12).map(|n| (format!("host{n}"), access.clone())).collect();
    let connected = connect_all(hosts, &operator, 4);
    let outputs: Vec<String> =
        connected.iter().map(|host| host.as_ref().unwrap().run(&sh("echo in")).unwrap().text()).collect();
    assert_eq!(outputs, ["in"; 12]);
    assert_eq!((logins(&servers[0]), logins(&servers[1])), (1, 12));
}

#[test]
fn a_host_that_does_not_answer_keeps_no_other_behind_its_bastion_waiting() {
    let test = "a_host_that_does_not_answer_keeps_no_other_behind_its_bastion_waiting";
    let Some((servers, operator)) = chain(test, 2) else { return };
    let silent = Silent::new();
    let access = Access { connect_timeout: Some(Duration::from_secs(6)), ..target(&servers) };
    let absent = Access { port: Some(silent.port), ..access.clone() };
    let hosts =
        [("absent", absent)].into_iter().chain(["one", "two", "three"].map(|name| (name, access.clone())));
    let hosts = hosts.map(|(name, access)| (name.to_owned(), access)).collect();
    let reached = connect_all(hosts, &operator, 4);
    let trouble: Vec<_> =
        reached.iter().map(|host| host.as_ref().map_err(|error| error.trouble).err()).collect();
    assert_eq!(trouble, [Some(Trouble::Unreachable), None, None, None]);
}

#[test]
fn trouble_on_the_way_is_told_apart() {
    let Some((mut servers, operator)) = chain("trouble_on_the_way_is_told_apart", 3) else { return };
    let access = target(&servers);
    let trouble = |access: &Access, operator: &Operator| {
        let error = Ssh::connect("deep", access, operator).map(drop).unwrap_err();
        (error.trouble, error.to_string())
    };
    // The key of the second bastion is checked as any other.
    let all = fs::read_to_string(servers[0].path("all_known")).unwrap();
    let second = servers[1].port.to_string();
    let without: String = all.split_inclusive('\n').filter(|line| !line.contains(&second)).collect();
    fs::write(servers[0].path("all_known"), &without).unwrap();
    let (kind, text) = trouble(&access, &operator);
    assert_eq!(kind, Trouble::HostKeyUnknown, "{text}");
    assert!(text.starts_with(&format!("deep: bastion {}: its key", hop(&servers[1]))), "{text}");
    fs::write(servers[0].path("all_known"), &all).unwrap();
    // It does not let us in.
    fs::write(servers[1].path("authorized"), "").unwrap();
    let (kind, text) = trouble(&access, &operator);
    assert_eq!(kind, Trouble::AuthFailed, "{text}");
    fs::copy(servers[0].path("authorized"), servers[1].path("authorized")).unwrap();
    // The host behind is down; then the bastion itself.
    servers[2].kill();
    let (kind, text) = trouble(&access, &operator);
    assert_eq!(kind, Trouble::Unreachable, "{text}");
    assert!(text.contains("the bastion cannot reach"), "{text}");
    servers[0].kill();
    let (kind, text) = trouble(&access, &operator);
    assert_eq!(kind, Trouble::BastionFailed, "{text}");
}

#[test]
fn a_bastion_that_allows_no_streams_is_told() {
    let test = "a_bastion_that_allows_no_streams_is_told";
    let (Some(bastion), Some(server)) =
        (Server::with_lines(test, "AllowTcpForwarding no"), Server::start(test))
    else {
        return;
    };
    let error = bastion.connect_with(|access, _| {
        access.bastions = vec![hop(&bastion)];
        access.port = Some(server.port);
    });
    let error = error.map(drop).unwrap_err();
    assert_eq!(error.trouble, Trouble::BastionFailed, "{error}");
    assert!(error.hint.unwrap().contains("AllowTcpForwarding"));
}

#[test]
fn all_hosts_are_tried_and_each_tells_its_own_trouble() {
    let test = "all_hosts_are_tried_and_each_tells_its_own_trouble";
    let (Some(good), Some(unknown)) = (Server::start(test), Server::start(test)) else { return };
    let closed = CLOSED;
    let hosts = vec![
        ("good".to_owned(), good.access()),
        ("unknown".to_owned(), Access { identity_file: good.access().identity_file, ..unknown.access() }),
        ("down".to_owned(), Access { port: Some(closed), ..good.access() }),
        ("locked".to_owned(), Access { user: Some("nobody-here".to_owned()), ..good.access() }),
        ("keyless".to_owned(), Access { password_file: Some("/no/such/file".to_owned()), ..good.access() }),
    ];
    let troubles: Vec<_> = connect_all(hosts, &good.operator(), 8)
        .into_iter()
        .map(|answer| answer.map(|host| host.name().to_owned()).map_err(|error| (error.host, error.trouble)))
        .collect();
    let trouble = |host: &str, trouble| Err((host.to_owned(), trouble));
    assert_eq!(
        troubles,
        [
            Ok("good".to_owned()),
            trouble("unknown", Trouble::HostKeyUnknown),
            trouble("down", Trouble::Unreachable),
            trouble("locked", Trouble::AuthFailed),
            trouble("keyless", Trouble::Settings),
        ]
    );
}

#[test]
fn openssh_configuration_leads_the_way_where_the_inventory_is_silent() {
    let test = "openssh_configuration_leads_the_way_where_the_inventory_is_silent";
    let Some((servers, mut operator)) = chain(test, 2) else { return };
    let config = format!(
        "Host inner\n  HostName 127.0.0.1\n  Port {}\n  User {user}\n  ProxyJump outer\n  IdentityFile {key}\n  \
         UserKnownHostsFile {known}\n\nHost outer\n  HostName 127.0.0.1\n  Port {}\n  User {user}\n  IdentityFile {key}\n  \
         StrictHostKeyChecking accept-new\n  UserKnownHostsFile {new}\n",
        servers[1].port,
        servers[0].port,
        user = user(),
        key = servers[0].path("client").display(),
        known = servers[0].path("all_known").display(),
        new = servers[0].path("new_known").display(),
    );
    let file = servers[0].path("config");
    fs::write(&file, config).unwrap();
    operator.config = SshConfig::read(&[file], None).unwrap();
    operator.known_hosts = vec![servers[0].path("nothing")];
    let access = Access { host: "inner".to_owned(), ..Access::default() };
    let ssh = Ssh::connect("inner", &access, &operator).unwrap();
    assert!(ssh.run(&sh("echo $SSH_CONNECTION")).unwrap().text().ends_with(&servers[1].port.to_string()));
    assert_eq!((logins(&servers[0]), logins(&servers[1])), (1, 1));
    assert!(fs::read_to_string(servers[0].path("new_known")).unwrap().contains(&servers[0].port.to_string()));
    // What the inventory says counts more.
    let other = Access { user: Some("nobody-here".to_owned()), ..access.clone() };
    let error = Ssh::connect("inner", &other, &operator).map(drop).unwrap_err();
    assert!(error.message.contains("nobody-here@127.0.0.1"), "{error}");
    let strict = Access { host_key_checking: Some(HostKeyChecking::Strict), ..access };
    fs::remove_file(servers[0].path("new_known")).unwrap();
    assert_eq!(
        Ssh::connect("inner", &strict, &operator).map(drop).unwrap_err().trouble,
        Trouble::HostKeyUnknown
    );
}
