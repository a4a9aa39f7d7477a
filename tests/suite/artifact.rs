//! Binaries from a server that does what servers do, put in place on this machine.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk")]

use kubewright::api;
use kubewright::apply;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::apply::receipt::sha256;
use kubewright::clock::System;
use kubewright::etcd::NoEtcd;
use kubewright::fetch::Downloads;
use kubewright::host::Fleet;
use kubewright::host::Local;
use kubewright::plan::Action;
use kubewright::plan::ArtifactSpec;
use kubewright::plan::Content;
use kubewright::plan::Fill;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use kubewright::plan::Step;
use kubewright::plan::Supply;
use kubewright::plan::Unpack;
use kubewright::report::Report;
use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::binary::kubewright;
use crate::support::small_host::ImageFiles;

/// What the server calls good: larger than a buffer.
fn program() -> Vec<u8> {
    b"#!/bin/sh\necho good\n".iter().copied().chain(std::iter::repeat_n(b'#', 200_000)).collect()
}

fn digest() -> String {
    sha256(&program())["sha256:".len()..].to_owned()
}

/// What the server says that a release of its mirror hashes to.
const SUM: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A server on 127.0.0.1; each path misbehaves in its own way, but for the checksums of a mirror below `/files`.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let from =
        headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let from: usize = from.unwrap_or(0);
    let program = program();
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    // A client that went away is what some tests want.
    let _ = match path.as_str() {
        "/good" => {
            let rest = &program[from.min(program.len())..];
            let total = program.len();
            let range = format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
            let range = if from > 0 { range } else { String::new() };
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n",
                rest.len()
            )
            .and_then(|()| stream.write_all(rest))
        }
        "/moved" => write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        "/short" => write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            program.len()
        )
        .and_then(|()| stream.write_all(&program[..1000])),
        "/files/dl.k8s.io/release/v1.36.99/bin/linux/amd64/kubelet.sha256"
        | "/files/dl.k8s.io/release/v1.36.99/bin/linux/amd64/kubectl.sha256" => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SUM}",
                SUM.len()
            )
        }
        "/other" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nother"),
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    };
}

/// A directory that stands for a host's disk.
struct Site {
    root: tempfile::TempDir,
}

struct Cache(PathBuf);

impl Resolve for Cache {
    fn content(&self, _: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("no content")
    }

    fn fill(&self, _: &Fill) -> anyhow::Result<Option<String>> {
        Ok(None)
    }

    fn supply(&self, supply: &Supply) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
        let Supply::Operator { url, sha256 } = supply else { anyhow::bail!("not for this machine") };
        let (file, size) = Downloads::new(&self.0).get(url, sha256)?;
        Ok((Box::new(file), size))
    }
}

impl Site {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn spec(&self, supply: Supply) -> ArtifactSpec {
        ArtifactSpec {
            name: "tool 1.0".to_owned(),
            supply,
            sha256: digest(),
            unpack: Unpack::File { path: self.path("bin/tool") },
            marker: self.path("share/tool"),
        }
    }

    fn run(&self, spec: ArtifactSpec, dry_run: bool) -> Report {
        let step = Step {
            phase: "prepare/binaries".to_owned(),
            place: Place::Host("host".to_owned()),
            about: None,
            title: "tool".to_owned(),
            reason: String::new(),
            action: Action::Artifact(spec),
        };
        let plan = Plan { steps: vec![step], ..Plan::default() };
        let mut hosts = Fleet::new();
        hosts.insert(Arc::new(Local::new("host")));
        let options =
            Options { dry_run, receipt: Some(self.path("state/receipt.json")), ..Options::default() };
        let world = World {
            hosts: &hosts,
            api: &api::Fake::new(),
            etcd: &NoEtcd,
            resolver: &Cache(self.root.path().join("cache")),
            images: &ImageFiles,
            pods: &ImageFiles,
            clock: &System,
            events: &|_| {},
            interrupt: &AtomicBool::new(false),
            options: &options,
        };
        apply::execute(&plan, &world)
    }

    fn is_placed(&self) -> bool {
        let tool = self.path("bin/tool");
        let whole = fs::read(&tool).is_ok_and(|bytes| bytes == program());
        let marked = Path::new(&self.path("share/tool")).exists();
        assert_eq!(whole, marked, "half placed");
        assert_eq!(whole, Path::new(&tool).exists(), "something else was placed");
        whole
    }
}

fn said(report: &Report) -> String {
    let lines = report.failures.iter().map(|failure| {
        let causes = failure.causes.join("; ");
        let details = failure.details.iter().map(|(label, text)| format!("{label}: {text}"));
        format!("{causes}\n{}\n{}", details.collect::<Vec<_>>().join("\n"), failure.hints.join("\n"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn supplies(url: &str) -> [Supply; 2] {
    [Supply::Host { url: url.to_owned() }, Supply::Operator { url: url.to_owned(), sha256: digest() }]
}

#[test]
fn what_is_good_is_placed_once() {
    let server = server();
    for path in ["/good", "/moved"] {
        for supply in supplies(&format!("{server}{path}")) {
            let site = Site::new();
            let dry = site.run(site.spec(supply.clone()), true);
            assert!(dry.success() && !site.is_placed(), "{}", said(&dry));
            let first = site.run(site.spec(supply.clone()), false);
            assert!(first.success() && site.is_placed(), "{supply}: {}", said(&first));
            assert_eq!(first.totals().changed, 1);
            assert_eq!(fs::read_dir(site.path("state/download")).unwrap().count(), 0, "something is left");
            let second = site.run(site.spec(supply), false);
            assert_eq!((second.totals().changed, second.success()), (0, true), "{}", said(&second));
        }
    }
}

#[test]
fn what_is_not_good_is_told_and_not_placed() {
    let server = server();
    for (path, host, operator) in [
        ("/other", "is not what was wanted", "is wanted"),
        ("/none", "404", "404"),
        ("/short", "cannot download", "cannot get"),
    ] {
        for (supply, why) in supplies(&format!("{server}{path}")).into_iter().zip([host, operator]) {
            let site = Site::new();
            let report = site.run(site.spec(supply.clone()), false);
            assert!(!report.success() && !site.is_placed(), "{supply}");
            let text = said(&report);
            assert!(text.contains(why) && text.contains(path), "{supply}: {text}");
        }
    }
    for supply in supplies("http://127.0.0.1:9/good") {
        let site = Site::new();
        let report = site.run(site.spec(supply), false);
        assert!(!report.success() && !site.is_placed());
        assert!(said(&report).contains("http://127.0.0.1:9/good"), "{}", said(&report));
    }
}

#[test]
fn a_download_goes_on_where_it_ended_or_begins_anew() {
    let server = server();
    for supply in supplies(&format!("{server}/good")) {
        for left in [program()[..70_000].to_vec(), b"of another file".to_vec(), program()] {
            let site = Site::new();
            let part = match supply {
                Supply::Operator { .. } => site.path(&format!("cache/{}.part", digest())),
                _ => site.path(&format!("state/download/{}.part", digest())),
            };
            fs::create_dir_all(Path::new(&part).parent().unwrap()).unwrap();
            fs::write(&part, &left).unwrap();
            let report = site.run(site.spec(supply.clone()), false);
            assert!(report.success() && site.is_placed(), "{supply} after {}: {}", left.len(), said(&report));
        }
    }
}

#[test]
fn what_was_changed_is_put_in_place_again() {
    let site = Site::new();
    let supply = Supply::Host { url: format!("{}/good", server()) };
    assert!(site.run(site.spec(supply.clone()), false).success());
    fs::write(site.path("bin/tool"), "mine").unwrap();
    let report = site.run(site.spec(supply), false);
    assert_eq!(report.totals().changed, 1, "{}", said(&report));
    assert!(site.is_placed());
}

#[test]
fn programs_come_out_of_an_archive_and_nothing_else_does() {
    let site = Site::new();
    let folder = site.root.path().join("release");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("bin/one"), "#!/bin/sh\n").unwrap();
    fs::write(folder.join("bin/LICENSE"), "text").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("bin/link")).unwrap();
    let shell = |line: &str| {
        assert!(
            std::process::Command::new("sh")
                .args(["-c", line])
                .current_dir(site.root.path())
                .status()
                .unwrap()
                .success()
        );
    };
    shell("chmod +x release/bin/one && tar -czf release.tgz -C release bin");
    let archive = fs::read(site.path("release.tgz")).unwrap();
    let sum = sha256(&archive)["sha256:".len()..].to_owned();
    let kept = site.root.path().join("cache");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join(&sum), &archive).unwrap();
    let spec = |inside: &str| ArtifactSpec {
        supply: Supply::Operator { url: "http://127.0.0.1:9/release.tgz".to_owned(), sha256: sum.clone() },
        sha256: sum.clone(),
        unpack: Unpack::Trees(vec![(inside.to_owned(), site.path("opt"))]),
        ..site.spec(Supply::Host { url: String::new() })
    };
    let wrong = site.run(spec("sbin"), false);
    assert!(said(&wrong).contains("no programs in sbin"), "{}", said(&wrong));
    assert!(!Path::new(&site.path("share/tool")).exists());
    let report = site.run(spec("bin"), false);
    assert!(report.success(), "{}", said(&report));
    let placed: Vec<_> =
        fs::read_dir(site.path("opt")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(placed, ["one"]);
    assert_eq!(site.run(spec("bin"), false).totals().changed, 0);
}

#[test]
fn a_mirror_stands_before_the_projects_for_the_list_and_the_lock_too() {
    let mirror = format!("{}/files", server());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.yaml");
    let cluster = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: demo}}\nspec:\n  \
         hosts:\n  - {{name: cp1, address: 10.77.0.11, roles: [control-plane]}}\n  \
         artifacts: {{source: download, mirror: \"{mirror}/\"}}\n---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.99\n"
    );
    fs::write(&file, cluster).unwrap();
    let file = file.to_str().unwrap();
    let artifacts =
        |verb: &str, arch: &str| kubewright(&["config", "artifacts", verb, "-f", file, "--arch", arch]);

    let list = artifacts("list", "amd64").data();
    let kubelet = format!(
        "kubelet 1.36.99 amd64 {mirror}/dl.k8s.io/release/v1.36.99/bin/linux/amd64/kubelet unknown\n"
    );
    assert!(list.contains(&kubelet), "{list}");

    let lock = artifacts("lock", "amd64");
    assert!(lock.err.contains(&format!("2 checksums are the word of {mirror}/")), "{}", lock.err);
    let lock = lock.data();
    for name in ["kubelet", "kubectl"] {
        assert!(lock.contains(&format!("{name} 1.36.99 amd64 {SUM}\n")), "{lock}");
    }
    assert!(lock.contains("containerd "), "what this program knows is not asked for: {lock}");

    let missing = artifacts("lock", "arm64");
    assert_ne!(missing.code, 0);
    assert!(missing.err.contains("/bin/linux/arm64/kubelet.sha256 answered with 404"), "{}", missing.err);
}
