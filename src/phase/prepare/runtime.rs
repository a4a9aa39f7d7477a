//! The container runtime: its configuration, its unit where we brought it, and its start.

use super::Preparing;
use super::file;
use super::rendered;
use crate::artifact::Name;
use crate::artifact::choose::containerd_reads_v3;
use crate::cluster::prepare::Source;
use crate::cluster::site::RuntimeProvider;
use crate::facts::question::CONTAINERD_CONFIG;
use crate::facts::question::DOCKER_CONFIG;
use crate::facts::runtime::Connection;
use crate::kube::containerd;
use crate::kube::images;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::ServiceSpec;
use crate::plan::Step;
use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;

const POLICY: &str = "/etc/containers/policy.json";
const REGISTRIES: &str = "/etc/containers/registries.conf.d/50-kubewright.conf";

#[derive(Serialize)]
struct Crictl<'a> {
    socket: &'a str,
}

#[derive(Serialize)]
struct Crio<'a> {
    pause: &'a str,
    cgroup_manager: &'a str,
    bundled: bool,
}

#[derive(Serialize)]
struct CriDocker<'a> {
    pause: &'a str,
}

#[derive(Serialize)]
struct Proxy<'a> {
    variables: &'a [String],
}

#[derive(Serialize)]
struct Nothing {}

/// Files of a runtime, and why; changes of those that it reads only when it starts restart it.
struct Files {
    settings: Vec<(String, String)>,
    /// Also restarts it.
    markers: Vec<String>,
    /// Read at every use.
    live: Vec<(String, String)>,
}

impl Preparing<'_> {
    pub(super) fn runtime(&self) -> anyhow::Result<Vec<Step>> {
        let Some(provider) = self.cluster.prepare.runtime.provider else { return Ok(Vec::new()) };
        let (unit, files) = match provider {
            RuntimeProvider::Containerd => ("containerd", self.containerd()?),
            RuntimeProvider::CriO => ("crio", self.crio()),
            RuntimeProvider::Docker => ("docker", self.docker()?),
        };
        let mut steps = self.labels();
        let reason = "what Kubernetes needs of the container runtime";
        let mut restart_on = files.markers;
        let config = files.settings.first().filter(|_| provider == RuntimeProvider::Containerd);
        steps.extend(config.and_then(|(_, text)| self.plugins(text)));
        for (path, text) in files.settings {
            steps.push(self.step("runtime", path.clone(), reason, file(&path, text)));
            restart_on.push(path);
        }
        for (path, text) in files.live {
            steps.push(self.step("runtime", path.clone(), "where images are asked for", file(&path, text)));
        }
        if provider == RuntimeProvider::CriO {
            steps.push(self.step("runtime", POLICY, "CRI-O pulls nothing without one", policy()));
        }
        let crictl = rendered("etc/crictl.yaml", &Crictl { socket: &self.node.cri_socket });
        let reason = "crictl talks to the runtime of the kubelet";
        steps.push(self.step("runtime", "/etc/crictl.yaml", reason, file("/etc/crictl.yaml", crictl)));
        let reason = "the kubelet cannot start before it";
        steps.push(self.step("runtime", format!("{unit} running"), reason, service(unit, restart_on)));
        if provider == RuntimeProvider::Docker {
            steps.extend(self.cri_dockerd());
        }
        Ok(steps)
    }

    fn containerd(&self) -> anyhow::Result<Files> {
        let chosen = self.brings(Name::Containerd);
        let runs = match &self.checks.runtime.connection {
            Connection::Ok { name, version } if name == "containerd" => Some(version.trim_start_matches('v')),
            _ => None,
        };
        let version = chosen.as_ref().map(|chosen| chosen.version.as_str()).or(runs);
        let setting = containerd::Setting {
            existing: self.facts.texts.get(CONTAINERD_CONFIG).map(String::as_str),
            // Version 2 of the format is read by every containerd there is.
            reads_v3: version.is_some_and(containerd_reads_v3),
            selinux: self.selinux_for_containers(),
        };
        let config = containerd::config(self.cluster, setting)
            .with_context(|| format!("cannot configure containerd on {}", self.node.name))?;
        let mut files = vec![(CONTAINERD_CONFIG.to_owned(), config)];
        let mut markers = Vec::new();
        if chosen.is_some() && self.systemd() {
            files.push(unit("containerd.service"));
            markers.push(Name::Containerd.marker());
        }
        markers.extend(self.brings(Name::Runc).map(|_| Name::Runc.marker()));
        files.extend(self.proxy("containerd"));
        let mirrors = &self.cluster.prepare.runtime.mirrors;
        let live = mirrors.iter().map(|(registry, urls)| {
            let path = format!("{}/{registry}/hosts.toml", containerd::REGISTRIES);
            (path, containerd::hosts_toml(registry, urls))
        });
        Ok(Files { settings: files, markers, live: live.collect() })
    }

    fn crio(&self) -> Files {
        let bundled = self.brings(Name::CriO).is_some();
        let values = Crio {
            pause: &images::pause(self.cluster),
            cgroup_manager: if self.systemd_cgroups() { "systemd" } else { "cgroupfs" },
            bundled,
        };
        let config = rendered("etc/crio/crio.conf.d/10-kubewright.conf", &values);
        let mut files = vec![("/etc/crio/crio.conf.d/10-kubewright.conf".to_owned(), config)];
        let mut markers = Vec::new();
        if bundled {
            files.push(unit("crio.service"));
            markers.push(Name::CriO.marker());
        }
        files.extend(self.proxy("crio"));
        let mirrors = &self.cluster.prepare.runtime.mirrors;
        if !mirrors.is_empty() {
            let mut text = "# Where images are asked for first. Written by kubewright.\n".to_owned();
            for (registry, urls) in mirrors.iter().filter(|(registry, _)| *registry != "_default") {
                let _ = writeln!(text, "\n[[registry]]\nlocation = \"{registry}\"");
                for url in urls {
                    let (scheme, location) = url.split_once("://").unwrap_or(("https", url));
                    let _ = writeln!(text, "\n[[registry.mirror]]\nlocation = \"{location}\"");
                    if scheme == "http" {
                        text.push_str("insecure = true\n");
                    }
                }
            }
            files.push((REGISTRIES.to_owned(), text));
        }
        Files { settings: files, markers, live: Vec::new() }
    }

    fn docker(&self) -> anyhow::Result<Files> {
        let existing = self.facts.texts.get(DOCKER_CONFIG).filter(|text| !text.trim().is_empty());
        let mut value: Value = match existing {
            Some(text) => serde_json::from_str(text)
                .with_context(|| format!("{DOCKER_CONFIG} on {} cannot be read", self.node.name))?,
            None => json!({"log-driver": "json-file", "log-opts": {"max-size": "100m"}}),
        };
        let driver = if self.systemd_cgroups() { "systemd" } else { "cgroupfs" };
        let wanted = format!("native.cgroupdriver={driver}");
        let mut options: Vec<Value> = value["exec-opts"].as_array().cloned().unwrap_or_default();
        options.retain(|one| !one.as_str().is_some_and(|text| text.starts_with("native.cgroupdriver=")));
        options.push(json!(wanted));
        value["exec-opts"] = Value::Array(options);
        if let Some(mirrors) = self.cluster.prepare.runtime.mirrors.get("docker.io") {
            value["registry-mirrors"] = json!(mirrors);
        }
        let text = serde_json::to_string_pretty(&value).expect("JSON prints") + "\n";
        // What says the same stays as the operator wrote it.
        let same =
            existing.filter(|text| serde_json::from_str::<Value>(text).is_ok_and(|there| there == value));
        let mut files = vec![(DOCKER_CONFIG.to_owned(), same.cloned().unwrap_or(text))];
        files.extend(self.proxy("docker"));
        Ok(Files { settings: files, markers: Vec::new(), live: Vec::new() })
    }

    fn cri_dockerd(&self) -> Vec<Step> {
        let values = CriDocker { pause: &images::pause(self.cluster) };
        let mut restart_on: Vec<String> =
            self.brings(Name::CriDockerd).map(|_| Name::CriDockerd.marker()).into_iter().collect();
        let mut steps = Vec::new();
        for name in ["cri-docker.service", "cri-docker.socket"] {
            let path = format!("/etc/systemd/system/{name}");
            let text = rendered(&format!("etc/systemd/system/{name}"), &values);
            steps.push(self.step("runtime", path.clone(), "Docker speaks no CRI itself", file(&path, text)));
            restart_on.push(path);
        }
        let reason = "the kubelet cannot start before it";
        for unit in ["cri-docker.socket", "cri-docker"] {
            let title = format!("{unit} running");
            steps.push(self.step("runtime", title, reason, service(unit, restart_on.clone())));
        }
        steps
    }

    pub(super) fn systemd_cgroups(&self) -> bool {
        self.cluster.kubelet.value.get("cgroupDriver").and_then(Value::as_str) != Some("cgroupfs")
    }

    /// Registries are reached as the operator reaches them; the cluster's own addresses are not.
    fn proxy(&self, unit: &str) -> Option<(String, String)> {
        if self.facts.proxy_env.is_empty() || !self.systemd() {
            return None;
        }
        let own = self.own_addresses();
        let mut variables = Vec::new();
        let mut exempt = String::new();
        for (name, value) in &self.facts.proxy_env {
            if name.eq_ignore_ascii_case("no_proxy") {
                exempt.clone_from(value);
            } else {
                // systemd reads a percent sign as the beginning of a specifier.
                variables.push(format!("{}={}", name.to_uppercase(), value.replace('%', "%%")));
            }
        }
        let given: Vec<&str> = exempt.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
        let all = given
            .iter()
            .map(|one| (*one).to_owned())
            .chain(own.into_iter().filter(|one| !given.contains(&one.as_str())));
        variables.push(format!("NO_PROXY={}", all.collect::<Vec<_>>().join(",")));
        variables.dedup();
        let text = rendered(
            "etc/systemd/system/containerd.service.d/http-proxy.conf",
            &Proxy { variables: &variables },
        );
        Some((format!("/etc/systemd/system/{unit}.service.d/http-proxy.conf"), text))
    }

    fn own_addresses(&self) -> Vec<String> {
        let networking = &self.cluster.networking;
        let networks = networking.pods.iter().chain(&networking.services).map(ToString::to_string);
        let hosts = self.cluster.nodes.iter().map(|node| node.advertise_address.to_string());
        let endpoint = self.cluster.endpoint.iter().map(|endpoint| endpoint.host.clone());
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), ".svc".to_owned()];
        names
            .into_iter()
            .chain([format!(".{}", networking.dns_domain)])
            .chain(networks)
            .chain(hosts)
            .chain(endpoint)
            .collect()
    }

    pub(super) fn selinux_for_containers(&self) -> bool {
        let packaged = matches!(self.source(), Source::Packages | Source::Download)
            && self.facts.platform.family() == Some(crate::facts::Family::RedHat);
        self.checks.selinux.enforcing.is_some() && (self.checks.selinux.container_policy || packaged)
    }
}

fn unit(name: &str) -> (String, String) {
    let path = format!("etc/systemd/system/{name}");
    let text = rendered(&path, &Nothing {});
    (format!("/{path}"), text)
}

fn service(unit: &str, restart_on: Vec<String>) -> Action {
    Action::Service(ServiceSpec {
        unit: unit.to_owned(),
        enabled: Some(true),
        restart_on,
        reload_on: Vec::new(),
        anew: None,
        best_effort: false,
    })
}

fn policy() -> Action {
    Action::File(FileSpec {
        path: POLICY.to_owned(),
        mode: 0o644,
        owner: None,
        content: Content::Text("{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}\n".to_owned()),
        keep_existing: true,
    })
}
