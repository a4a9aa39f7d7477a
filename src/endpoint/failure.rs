//! What of the endpoint is failed on purpose, and how it comes back: by whoever failed it, or by itself.
//!
//! Each host is told to mend itself at a later time before anything is stopped on it.

use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::endpoint::KubeVipMode;
use crate::cluster::endpoint::RunAs;
use crate::host::Command;
use crate::kube::static_pod::manifest_path;
use crate::plan::Container;
use serde::Serialize;
use std::time::Duration;

/// A part that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What keeps the virtual address on the host that has it.
    Holder,
    /// The HAProxy of a host.
    Proxy,
}

/// A failure of a part of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub part: Part,
    pub host: String,
    program: &'static str,
    means: Means,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Means {
    /// Its unit is stopped.
    Stop,
    /// Its manifest is set aside.
    TakeAway,
    /// It dies, and its unit is to start it again.
    Kill,
    /// It dies, and the kubelet is to start it again.
    KillContainer(Container),
}

/// What is done to make it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Run(Command),
    /// A container dies without a word. The kubelet needs nobody to tell it what then to do.
    Kill(Container),
}

impl Failure {
    /// How a part of a host is failed.
    ///
    /// # Errors
    /// Why that cannot be, or means nothing.
    pub fn of(cluster: &Cluster, part: Part, node: &Node) -> Result<Self, String> {
        let (program, means) = means(cluster, part, node)?;
        Ok(Self { part, host: node.name.clone(), program, means })
    }

    /// Whether a cluster has such a part at all.
    ///
    /// # Errors
    /// Why not.
    pub fn possible(cluster: &Cluster, part: Part) -> Result<(), String> {
        means(cluster, part, cluster.balancers().first().unwrap_or(&cluster.first_control_plane())).map(drop)
    }

    /// What is done: "keepalived stopped".
    pub fn title(&self) -> String {
        match self.means {
            Means::Stop => format!("{} stopped", self.program),
            Means::TakeAway => format!("static pod {} taken away", self.program),
            Means::Kill | Means::KillContainer(_) => format!("{} killed", self.program),
        }
    }

    /// The process that is gone meanwhile.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Whether somebody on the host is to start it again at once.
    pub fn heals(&self) -> bool {
        matches!(self.means, Means::Kill | Means::KillContainer(_))
    }

    /// Fails it, after the host has been told to mend itself when so much time has passed.
    pub fn act(&self, mends_after: Duration) -> Act {
        let (program, timer) = (self.program, self.timer());
        let (mend, act) = match &self.means {
            Means::TakeAway => {
                let (manifest, aside) = self.manifests();
                (put_back(&manifest, &aside), format!("mv {manifest} {aside}"))
            }
            Means::Kill => (start(program), format!("systemctl kill --signal=KILL {program}.service")),
            Means::Stop => (start(program), format!("systemctl stop {program}.service")),
            Means::KillContainer(container) => return Act::Kill(container.clone()),
        };
        let script = format!(
            "[ -d /run/systemd/system ] || {{ echo 'no systemd, which is to mend this host by itself' >&2; exit 1; }}\n\
             systemd-run --quiet --collect --unit={timer} --on-active={}s --timer-property=AccuracySec=1s -- \
             sh -c '{mend}' || exit\n{act}",
            mends_after.as_secs()
        );
        Act::Run(Command::change("sh").args(["-c", &script]))
    }

    /// Mends it, and tells the host not to. May be run again, and also where nothing was failed.
    pub fn mend(&self) -> Command {
        let (manifest, aside) = self.manifests();
        let mend = match &self.means {
            Means::TakeAway => put_back(&manifest, &aside),
            Means::Stop | Means::Kill => start(self.program),
            // The kubelet does.
            Means::KillContainer(_) => "true".to_owned(),
        };
        let timer = self.timer();
        let script = format!("{mend} || exit\nsystemctl stop {timer}.timer 2>/dev/null || true");
        Command::change("sh").args(["-c", &script])
    }

    fn timer(&self) -> String {
        format!("kubewright-mend-{}", self.program)
    }

    /// Where the manifest is, and where meanwhile: on the same file system, so that the kubelet never reads half of it.
    fn manifests(&self) -> (String, String) {
        (manifest_path(self.program), format!("/etc/kubernetes/kubewright-test-{}.yaml", self.program))
    }
}

/// A manifest that somebody has written meanwhile stays.
fn put_back(manifest: &str, aside: &str) -> String {
    format!("if [ -e {manifest} ]; then rm -f {aside}; elif [ -e {aside} ]; then mv {aside} {manifest}; fi")
}

fn start(program: &str) -> String {
    format!("systemctl start {program}.service")
}

fn means(cluster: &Cluster, part: Part, node: &Node) -> Result<(&'static str, Means), String> {
    let by = |run_as| match run_as {
        RunAs::Service => Means::Stop,
        RunAs::StaticPod => Means::TakeAway,
    };
    match (&cluster.site.balancing, part) {
        (Some(Balancing::Keepalived(said)), Part::Holder) => Ok(("keepalived", by(said.run_as))),
        (Some(Balancing::Keepalived(said)), Part::Proxy) => Ok(("haproxy", by(said.run_as))),
        (Some(Balancing::KubeVip(said)), Part::Holder) => match said.mode {
            KubeVipMode::Arp { .. } => Ok(("kube-vip", Means::TakeAway)),
            KubeVipMode::Bgp { .. } => Err("with BGP no host holds the address alone".to_owned()),
        },
        (Some(Balancing::KubeVip(_)), Part::Proxy) => {
            Err("kube-vip has no proxy: the address leads to the API server beside it".to_owned())
        }
        (Some(Balancing::NodeLocal(_)), Part::Holder) => {
            Err("with provider node-local there is no virtual address".to_owned())
        }
        // Nobody takes over from it, so that a stop would only show how long it was stopped.
        (Some(Balancing::NodeLocal(said)), Part::Proxy) => Ok(match said.run_as {
            RunAs::Service => ("haproxy", Means::Kill),
            RunAs::StaticPod => ("haproxy", Means::KillContainer(Container::of_component(node, "haproxy"))),
        }),
        (None, _) => Err(format!(
            "provider {}: somebody else keeps the endpoint",
            cluster.site.endpoint_provider.as_str()
        )),
    }
}
