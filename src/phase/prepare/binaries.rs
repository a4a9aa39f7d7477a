//! Programs from their projects' releases or from a directory, and image archives.

use super::Preparing;
use crate::artifact;
use crate::artifact::Chosen;
use crate::artifact::Name;
use crate::artifact::choose;
use crate::cluster::prepare::ImageArchive;
use crate::cluster::prepare::Source;
use crate::cluster::prepare::Via;
use crate::cluster::site::RuntimeProvider;
use crate::kube::images;
use crate::plan::Action;
use crate::plan::ArtifactSpec;
use crate::plan::ImageArchiveSpec;
use crate::plan::Step;
use crate::plan::Supply;
use crate::plan::Unpack;
use anyhow::Context as _;

impl Preparing<'_> {
    pub(super) fn binaries(&self) -> anyhow::Result<Vec<Step>> {
        let mut steps = Vec::new();
        for chosen in self.chosen()? {
            let reason = reason(chosen.name);
            let title = format!("{} {}", chosen.name, chosen.version);
            steps.push(self.step("binaries", title, reason, Action::Artifact(self.spec(chosen))));
        }
        Ok(steps)
    }

    /// The artifacts that this host gets from us.
    pub(super) fn chosen(&self) -> anyhow::Result<Vec<Chosen>> {
        let arch = self.arch()?;
        let mut all = Vec::new();
        for name in self.names() {
            let chosen = choose(self.cluster, name, arch)
                .with_context(|| format!("cannot provide {} with {name}", self.node.name))?;
            all.extend(chosen);
        }
        Ok(all)
    }

    /// Whether this artifact comes from us; a mistake in the configuration has been told by then.
    pub(super) fn brings(&self, name: Name) -> Option<Chosen> {
        self.chosen().ok()?.into_iter().find(|chosen| chosen.name == name)
    }

    fn names(&self) -> Vec<Name> {
        let mut names = match self.source() {
            Source::None => return Vec::new(),
            Source::Packages => Vec::new(),
            Source::Download | Source::Local => vec![Name::Kubelet, Name::Kubectl],
        };
        let bring = self.source() != Source::Packages;
        match self.cluster.prepare.runtime.provider {
            Some(RuntimeProvider::Containerd) if bring => {
                names.extend([Name::Crictl, Name::CniPlugins, Name::Runc, Name::Containerd]);
            }
            // Its release has everything else in it.
            Some(RuntimeProvider::CriO) if bring => names.push(Name::CriO),
            Some(RuntimeProvider::Docker) => {
                if bring {
                    names.extend([Name::Crictl, Name::CniPlugins]);
                }
                // No distribution has a package of it.
                names.push(Name::CriDockerd);
            }
            None if bring => names.push(Name::CniPlugins),
            _ => {}
        }
        if !self.node.becomes_node() {
            // No pod there has a network of its own, and nobody looks after a node.
            names.retain(|name| ![Name::CniPlugins, Name::Kubectl].contains(name));
        }
        names
    }

    fn spec(&self, chosen: Chosen) -> ArtifactSpec {
        let artifacts = &self.cluster.prepare.artifacts;
        let supply = match chosen.from {
            artifact::choose::From::Url(url) if artifacts.via == Via::Operator => {
                Supply::Operator { url, sha256: chosen.sha256.clone() }
            }
            artifact::choose::From::Url(url) => Supply::Host { url },
            artifact::choose::From::Stock(file) => Supply::File { path: file.path },
        };
        let unpack = match chosen.name.unpack() {
            artifact::Unpack::File { path } => Unpack::File { path: path.to_owned() },
            artifact::Unpack::Trees(trees) => {
                let owned = |(inside, into): &(&str, &str)| ((*inside).to_owned(), (*into).to_owned());
                Unpack::Trees(trees.iter().map(owned).collect())
            }
        };
        ArtifactSpec {
            name: format!("{} {}", chosen.name, chosen.version),
            supply,
            sha256: chosen.sha256,
            unpack,
            marker: chosen.name.marker(),
        }
    }

    pub(super) fn images(&self) -> Vec<Step> {
        let stock = &self.cluster.prepare.artifacts.stock;
        let runs = images::of_host(self.cluster, self.node);
        let wanted = |archive: &&ImageArchive| {
            self.node.becomes_node() || archive.references.iter().any(|reference| runs.contains(reference))
        };
        let archives = stock.images.iter().filter(|_| self.source() == Source::Local).filter(wanted);
        archives
            .map(|archive| {
                let action = Action::ImageArchive(ImageArchiveSpec {
                    supply: Supply::File { path: archive.path.clone() },
                    references: archive.references.clone(),
                    cri_socket: self.node.cri_socket.clone(),
                });
                let file = archive.path.rsplit('/').next().unwrap_or_default();
                let reason = "the host reaches no registry";
                self.step("images", format!("images of {file}"), reason, action)
            })
            .collect()
    }
}

fn reason(name: Name) -> &'static str {
    match name {
        Name::Kubelet => "it runs the pods of the host",
        Name::Kubectl => "whoever looks after the node talks to the cluster with it",
        Name::Crictl => "whoever looks after the node talks to its runtime with it",
        Name::CniPlugins => "every pod network builds on them",
        Name::Runc => "containerd starts containers with it",
        Name::Containerd | Name::CriO => "it runs the containers",
        Name::CriDockerd => "Docker speaks no CRI itself",
    }
}
