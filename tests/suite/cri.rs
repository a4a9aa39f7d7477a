//! The client of the container runtime interface against a real containerd of our own.

#![expect(clippy::disallowed_methods, reason = "the fixture starts a program and writes its configuration")]

use crate::bare_host::BareHost;
use crate::skip::skip;
use kubewright::cri::Client;
use kubewright::cri::CriError;
use kubewright::facts::Questions;
use kubewright::facts::gather;
use kubewright::facts::runtime::Connection;
use kubewright::facts::runtime::RuntimeConfig;
use kubewright::facts::runtime::Status;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

/// A containerd that keeps everything in a directory of its own.
struct Containerd {
    process: Child,
    directory: TempDir,
}

impl Containerd {
    /// `None`, with the reason printed, where it cannot be had.
    fn start(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip(test, "needs root for containerd");
            return None;
        }
        let Ok(_) = Command::new("containerd").arg("--version").output() else {
            skip(test, "needs containerd (Debian's package `containerd`)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = '{}'\nstate = '{}'\n[grpc]\naddress = '{}'\n[ttrpc]\naddress = '{}'\n\
             [plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'registry.test/pause:3.10.2'\n\
             [plugins.'io.containerd.internal.v1.opt']\npath = '{}'\n\
             [plugins.'io.containerd.grpc.v1.cri'.containerd]\nsnapshotter = 'native'\n",
            at("root"),
            at("state"),
            at("containerd.sock"),
            at("ttrpc.sock"),
            at("opt"),
        );
        std::fs::write(at("config.toml"), config).unwrap();
        let process = Command::new("containerd")
            .args(["--config", &at("config.toml")])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let mut containerd = Self { process, directory };
        containerd.wait();
        Some(containerd)
    }

    fn wait(&mut self) {
        for _ in 0..100 {
            let answers =
                Client::connect(&BareHost::default(), &self.socket()).and_then(|client| client.version());
            if answers.is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        panic!("containerd does not answer: {log}");
    }

    /// containerd tells its CRI part about images by events, so one that `ctr` brought is seen a little later.
    fn wait_for_image(&self, reference: &str) {
        let client = Client::connect(&BareHost::default(), &self.socket()).unwrap();
        let begin = Instant::now();
        while client.image_status(reference).unwrap().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(10), "CRI never sees {reference}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn socket(&self) -> String {
        format!("unix://{}/containerd.sock", self.directory.path().display())
    }

    /// Loads an image of one empty layer.
    fn import(&self, reference: &str) {
        let mut import = Command::new("ctr")
            .args([
                "--address",
                &self.socket()[7..],
                "-n",
                "k8s.io",
                "images",
                "import",
                "--snapshotter",
                "native",
            ])
            .args(["--no-unpack", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        import.stdin.take().unwrap().write_all(&image_archive(reference)).unwrap();
        assert!(import.wait().unwrap().success(), "ctr cannot import the image");
        self.wait_for_image(reference);
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Docker image archive: `manifest.json`, a configuration and one empty layer.
fn image_archive(reference: &str) -> Vec<u8> {
    let layer = tar(&[]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &layer);
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:{hex}"]}}}}"#
    );
    let manifest =
        format!(r#"[{{"Config":"config.json","RepoTags":["{reference}"],"Layers":["layer.tar"]}}]"#);
    tar(&[("config.json", config.as_bytes()), ("layer.tar", &layer), ("manifest.json", manifest.as_bytes())])
}

/// A ustar archive of plain files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

#[test]
fn talks_to_a_real_containerd() {
    let Some(containerd) = Containerd::start("cri::talks_to_a_real_containerd") else { return };
    let client = Client::connect(&BareHost::default(), &containerd.socket()).unwrap();
    let version = client.version().unwrap();
    assert_eq!((version.name.as_str(), version.api_version.as_str()), ("containerd", "v1"));
    let status = client.status(true).unwrap();
    let ready = status.conditions.iter().find(|condition| condition.r#type == "RuntimeReady").unwrap();
    assert!(ready.status);
    assert_eq!(status.sandbox_image(), Some("registry.test/pause:3.10.2"));
    assert_eq!(client.status(false).unwrap().config, None);
    // Old runtimes do not know the call, and that is an answer.
    client.runtime_config().unwrap();
    assert!(client.list_pod_sandboxes().unwrap().is_empty());
    assert!(client.list_images().unwrap().is_empty());

    let image = "registry.test/kube-apiserver:v1.36.2";
    assert_eq!(client.image_status(image).unwrap(), None);
    containerd.import(image);
    let found = client.image_status(image).unwrap().expect("it was imported");
    assert_eq!(found.repo_tags, [image]);
    assert_eq!(client.list_images().unwrap().len(), 1);

    let error = client.pull_image("localhost:1/none:v1").unwrap_err();
    assert!(matches!(error, CriError::Call { method: "PullImage", .. }), "{error}");
    assert!(client.stop_pod_sandbox("none").is_ok() || client.remove_pod_sandbox("none").is_ok());
}

#[test]
fn facts_tell_what_the_runtime_says() {
    let Some(containerd) = Containerd::start("cri::facts_tell_what_the_runtime_says") else { return };
    containerd.import("registry.test/etcd:3.6.8-0");
    let mut questions = Questions { cri_socket: Some(containerd.socket()), ..Questions::default() };
    questions.images.extend(["registry.test/etcd:3.6.8-0", "registry.test/pause:none"].map(str::to_owned));
    let runtime = gather::gather(&BareHost::default(), &questions).unwrap().checks.runtime;
    assert!(matches!(&runtime.connection, Connection::Ok { name, .. } if name == "containerd"));
    assert!(matches!(&runtime.status, Status::Conditions(conditions) if !conditions.is_empty()));
    assert_ne!(runtime.config, RuntimeConfig::Unknown);
    assert_eq!(runtime.images.values().collect::<Vec<_>>(), [&true, &false]);
}

#[test]
fn a_missing_runtime_is_told_with_its_cause() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix://{}/none.sock", directory.path().display());
    let error = Client::connect(&BareHost::default(), &socket).unwrap_err();
    assert!(error.explained().contains("No such file or directory"), "{}", error.explained());
    let questions = Questions { cri_socket: Some(socket), ..Questions::default() };
    let facts = gather::gather(&BareHost::default(), &questions).unwrap();
    assert!(matches!(facts.checks.runtime.connection, Connection::Failed(_)));
    let error = Client::connect(&BareHost::default(), "tcp://127.0.0.1:1").unwrap_err();
    assert!(matches!(error, CriError::Socket { .. }), "{error}");
}

/// A listener that does to its first connection what `serve` says.
fn listener(serve: impl FnOnce(UnixStream) + Send + 'static) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("runtime.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    (directory, format!("unix://{}", path.display()))
}

#[test]
fn a_silent_runtime_is_given_two_seconds() {
    let (_directory, socket) = listener(|mut stream| {
        let mut sink = [0; 1024];
        while stream.read(&mut sink).is_ok_and(|count| count > 0) {}
    });
    let begin = Instant::now();
    let error = Client::connect(&BareHost::default(), &socket).unwrap().version().unwrap_err();
    assert!(matches!(error, CriError::Timeout { method: "Version", .. }), "{error}");
    assert!((1500..5000).contains(&begin.elapsed().as_millis()));
}

#[test]
fn a_server_that_speaks_something_else_is_an_error() {
    let (_directory, socket) = listener(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
    });
    let answer = Client::connect(&BareHost::default(), &socket).and_then(|client| client.version());
    assert!(answer.is_err(), "{answer:?}");
}
