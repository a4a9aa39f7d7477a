//! A host in memory that knows the few commands of our plans: accounts, kernel modules and parameters, swap.

use kubewright::apply::Images;
use kubewright::apply::Pods;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::host::Host;
use kubewright::host::Output;
use kubewright::host::Socket;
use kubewright::host::command::Word;
use kubewright::host::fake::Files;
use kubewright::host::fake::Unit;
use kubewright::host::fake::said;
use kubewright::plan::Container;
use time::OffsetDateTime;
use time::macros::datetime;

/// Stands where something was done that leaves no other trace.
const DONE: &str = "/done";

/// Images as files of the host.
pub(crate) struct ImageFiles;

/// Programs and keys as files of the host, packages as files too; a download is as good as its digest says.
fn supplied(fake: Fake) -> Fake {
    fake.on_run(&["sh", "-s", "--"], |command, files| {
        let words = words(command).split_off(3);
        match words[0].as_str() {
            "get" => files.insert(words[3].clone(), Entry::file(words[2].as_str(), 0o600)),
            _ => files.insert(words[3].clone(), Entry::file(format!("sha256 {}\n", words[2]), 0o644)),
        };
        said(0, "")
    })
    .on_run(&["apt-get"], |command, files| installed(&words(command), files))
    .on_run(&["dnf"], |command, files| installed(&words(command), files))
    .on_run(&["zypper"], |command, files| installed(&words(command), files))
    .on_run(&["apt-mark"], |_, files| done(files, "hold"))
    .on_run(&["rpm", "--import"], |_, files| done(files, "import"))
    .on_run(&["rpm", "-q"], |command, files| {
        let version = text(files, &format!("{DONE}/package/{}", last(command)));
        said(i32::from(version.is_empty()), &version)
    })
    .on_run(&["ctr"], |_, files| {
        // Of the one archive that a scenario has.
        files.insert("/images/registry.k8s.io/pause:3.10.2".to_owned(), Entry::file("", 0o644));
        said(0, "")
    })
    .on(&["ufw", "show", "added"], said(0, ""))
    .on_run(&["chcon"], |_, files| done(files, "chcon"))
    .on_run(&["firewall-cmd"], |_, files| done(files, "firewall-reload"))
}

fn installed(words: &[String], files: &mut Files) -> Output {
    if words.iter().any(|word| word == "install") {
        for word in
            words.iter().skip_while(|word| *word != "install").filter(|word| !word.starts_with('-')).skip(1)
        {
            let (name, version) = match (word.split_once('='), words[0].as_str()) {
                (Some((name, version)), _) => (name, version.trim_end_matches("-*")),
                // Of dnf's `kubelet-1.36.2` the last dash that a digit follows.
                (None, "dnf") => match word
                    .rmatch_indices('-')
                    .find(|(at, _)| word[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
                {
                    Some((at, _)) => (&word[..at], &word[at + 1..]),
                    None => (word.as_str(), "1.0"),
                },
                (None, _) => (word.as_str(), "1.0"),
            };
            files.insert(format!("{DONE}/package/{name}"), Entry::file(format!("{version}-1"), 0o644));
        }
    }
    said(0, "")
}

impl Images for ImageFiles {
    fn present(&self, host: &dyn Host, _: &str, reference: &str) -> anyhow::Result<bool> {
        Ok(host.read(&format!("/images/{reference}"))?.is_some())
    }

    fn pull(&self, host: &dyn Host, _: &str, reference: &str) -> anyhow::Result<()> {
        Ok(host.write(&format!("/images/{reference}"), &Entry::file("", 0o644))?)
    }
}

/// No pod has the name asked for.
impl Pods for ImageFiles {
    fn present(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn remove(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<()> {
        anyhow::bail!("nobody has the pod {id}")
    }

    fn named(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Every container is young enough for every manifest.
    fn made(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Option<OffsetDateTime>> {
        Ok(Some(datetime!(2100-01-01 00:00 UTC)))
    }

    fn complaints(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// A freshly installed machine with a kubelet that does not run yet, and a control plane that answers.
pub(crate) fn new(name: &str) -> Fake {
    let fake = Fake::new(name)
        .with("/etc/passwd", Entry::file("root:x:0:0:root:/root:/bin/bash\n", 0o644))
        .with("/etc/group", Entry::file("root:x:0:\n", 0o644))
        .with("/proc/swaps", Entry::file("Filename Type\n/dev/sda2 partition\n", 0o644))
        .with("/srv/etcd/ca.crt", Entry::file("CA", 0o644))
        .with("/srv/etcd/client.crt", Entry::file("certificate", 0o644))
        .with("/srv/etcd/client.key", Entry::file("key", 0o600))
        .with_unit("kubelet", Unit::default())
        .with_unit("haproxy", Unit::default())
        .with_unit("keepalived", Unit::default())
        .on_run(&["systemctl", "daemon-reload"], |_, files| done(files, "reload"))
        .on_run(&["groupadd"], |command, files| {
            append(files, "/etc/group", &format!("{}:x:{}:", last(command), after(command, "--gid")))
        })
        .on_run(&["useradd"], |command, files| {
            let ids = format!("{}:{}", after(command, "--uid"), after(command, "--gid"));
            append(files, "/etc/passwd", &format!("{}:x:{ids}::/nonexistent:/bin/false", last(command)))
        })
        .on_run(&["gpasswd"], |command, files| {
            let (group, members) = (last(command), after(command, "--members"));
            let changed = |line: &str| {
                let own = line.starts_with(&format!("{group}:"));
                if own { format!("{line}{members}\n") } else { format!("{line}\n") }
            };
            let text: String = text(files, "/etc/group").lines().map(changed).collect();
            files.insert("/etc/group".to_owned(), Entry::file(text, 0o644));
            said(0, "")
        })
        .on_run(&["grep", "-q"], |command, files| grep(&words(command)[2], &text(files, &last(command))))
        // Files are older than whatever runs.
        .on_run(&["stat", "-c", "%Z %n"], |command, _| {
            let files = words(command).split_off(4);
            let lines: Vec<String> = files.iter().map(|path| format!("1 {path}")).collect();
            said(0, &lines.join("\n"))
        })
        .on_run(&["chown"], |_, files| done(files, "chown"))
        .on_run(&["modprobe", "-a"], |command, files| {
            for module in words(command).split_off(2) {
                files.insert(format!("/sys/module/{module}"), Entry::directory(0o755));
            }
            said(0, "")
        })
        .on_run(&["test", "!", "-e"], |command, files| {
            said(i32::from(files.contains_key(&last(command))), "")
        })
        .on_run(&["rm", "-rf"], |command, files| {
            files.remove(&last(command));
            said(0, "")
        })
        .on_run(&["test", "-d"], |command, files| said(i32::from(!files.contains_key(&last(command))), ""))
        .on_run(&["sysctl", "-n"], |command, files| {
            said(0, &text(files, &format!("/proc/sys/{}", last(command).replace('.', "/"))))
        })
        .on_run(&["sysctl", "-p"], |command, files| {
            let settings = text(files, &last(command));
            for (name, value) in settings.lines().filter_map(|line| line.split_once(" = ")) {
                files.insert(format!("/proc/sys/{}", name.replace('.', "/")), Entry::file(value, 0o644));
            }
            said(0, "")
        })
        .on_run(&["swapoff", "-a"], |_, files| {
            files.insert("/proc/swaps".to_owned(), Entry::file("Filename Type\n", 0o644));
            said(0, "")
        })
        .on_run(&["cat", "/proc/swaps"], |_, files| said(0, &text(files, "/proc/swaps")))
        .on_run(&["sh", "-c"], |command, files| script(&words(command), files));
    let fake = [
        "containerd",
        "crio",
        "docker",
        "cri-docker",
        "cri-docker.socket",
        "chrony",
        "chronyd",
        "NetworkManager",
        "kubewright-pods",
    ]
    .into_iter()
    .fold(supplied(fake), |fake, unit| fake.with_unit(unit, Unit::default()));
    for port in [2381, 10248, 10257, 10259, 10357] {
        for host in ["127.0.0.1", "::1"] {
            fake.listen(Socket::Tcp { host: host.to_owned(), port }, "HTTP/1.1 200 OK\r\n\r\nok");
        }
    }
    fake
}

/// What the longer scripts of our steps would do, and else the conditions of our plans.
fn script(words: &[String], files: &mut Files) -> Output {
    let (script, items) = (words[2].as_str(), &words[3..]);
    let holds = |holds: bool| said(i32::from(!holds), "");
    if script.contains("read -r word sum") {
        holds(text(files, &items[1]) == format!("sha256 {}\n", items[2]))
    } else if script.contains("sha256sum <") {
        holds(false)
    } else if script.contains("stat -c %s") {
        said(0, "0\n")
    } else if script.contains("cat >>") {
        files.insert(items[1].clone(), Entry::file("pushed", 0o600));
        said(0, "")
    } else if script.contains("dpkg-query") {
        let version = text(files, &format!("{DONE}/package/{}", items[1]));
        said(0, &version)
    } else if script.contains("--show-keys") && script.contains("awk") {
        holds(files.contains_key(&items[1]))
    } else if script.contains("--show-keys") {
        files.insert(items[1].clone(), Entry::file("key", 0o644));
        said(0, "")
    } else if script.contains("gpg-pubkey") {
        holds(files.contains_key(&format!("{DONE}/import")))
    } else if script.contains("--info-policy") {
        holds(files.contains_key(&format!("{DONE}/firewall-reload")))
    } else if script.contains("ufw show added") {
        holds(files.contains_key(&format!("{DONE}/ufw")))
    } else if script.contains("ufw $it") {
        done(files, "ufw")
    } else if script.contains("ln -sfn") {
        for name in &items[3..] {
            files.insert(format!("{}/{name}", items[2]), Entry::link(format!("{}/{name}", items[1])));
        }
        said(0, "")
    } else if script.contains("-ef") {
        holds(items[3..].iter().all(|name| files.contains_key(&format!("{}/{name}", items[2]))))
    } else if script.contains("container_file_t") {
        holds(files.contains_key(&format!("{DONE}/chcon")))
    } else {
        condition(words, files)
    }
}

/// What the conditions of our plans would find.
fn condition(words: &[String], files: &Files) -> Output {
    let (script, items) = (words[2].as_str(), &words[3..]);
    let items = items.iter().skip(1);
    let holds = if script.contains("/sys/module") {
        items.into_iter().all(|item| files.contains_key(&format!("/sys/module/{item}")))
    } else if script.contains("/proc/sys/") {
        items.into_iter().all(|item| {
            let (name, value) = item.split_once('=').unwrap();
            text(files, &format!("/proc/sys/{name}")) == value
        })
    } else if script.contains("/proc/swaps") {
        !text(files, "/proc/swaps").contains("\n/")
    } else if script.contains("LoadState") {
        files.contains_key(&format!("{DONE}/reload"))
    } else if script.contains("find") {
        files.contains_key(&format!("{DONE}/chown"))
    } else {
        panic!("nobody scripted {script}")
    };
    said(i32::from(!holds), "")
}

/// As much of `grep` as our conditions need.
fn grep(pattern: &str, text: &str) -> Output {
    let pattern = pattern.trim_start_matches('^');
    let found = match pattern.strip_suffix('$').and_then(|pattern| pattern.split_once("[^:]*:[0-9]*:")) {
        Some((start, end)) => {
            text.lines().any(|line| line.starts_with(start) && line.rsplit(':').next() == Some(end))
        }
        None => text.lines().any(|line| line.starts_with(pattern)),
    };
    said(i32::from(!found), "")
}

fn words(command: &Command) -> Vec<String> {
    std::iter::once(command.program.as_str())
        .chain(command.args.iter().map(Word::expose))
        .map(str::to_owned)
        .collect()
}

fn last(command: &Command) -> String {
    words(command).pop().unwrap()
}

fn after(command: &Command, flag: &str) -> String {
    words(command).into_iter().skip_while(|word| word != flag).nth(1).unwrap()
}

fn text(files: &Files, path: &str) -> String {
    let content = files.get(path).and_then(Entry::content).unwrap_or_default();
    String::from_utf8(content.to_vec()).unwrap()
}

fn append(files: &mut Files, path: &str, line: &str) -> Output {
    let text = format!("{}{line}\n", text(files, path));
    files.insert(path.to_owned(), Entry::file(text, 0o644));
    said(0, "")
}

fn done(files: &mut Files, what: &str) -> Output {
    files.insert(format!("{DONE}/{what}"), Entry::file("", 0o644));
    said(0, "")
}
