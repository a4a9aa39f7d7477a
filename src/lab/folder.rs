//! The folder of a lab: `vagrant/` and `playbooks/` of the source, which are in the program.

/// A file of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// Below the folder.
    pub path: &'static str,
    pub text: &'static str,
    pub executable: bool,
}

macro_rules! embedded {
    ($from:literal, $path:literal) => {
        Embedded { path: $path, text: include_str!(concat!("../../", $from)), executable: false }
    };
    ($path:literal) => {
        embedded!($path, $path)
    };
}

/// Lab files to start from, by name; the first one has a word on every option.
pub const VARIANTS: [(&str, &str); 6] = [
    ("small", include_str!("../../vagrant/lab.yaml")),
    ("single", include_str!("../../vagrant/variants/single.yaml")),
    ("ha", include_str!("../../vagrant/variants/ha.yaml")),
    ("dedicated-etcd", include_str!("../../vagrant/variants/dedicated-etcd.yaml")),
    ("dual-stack", include_str!("../../vagrant/variants/dual-stack.yaml")),
    ("mixed", include_str!("../../vagrant/variants/mixed.yaml")),
];

const FILES: [Embedded; 26] = [
    embedded!("vagrant/Vagrantfile", "Vagrantfile"),
    Embedded { executable: true, ..embedded!("vagrant/provision", "provision") },
    embedded!("vagrant/.gitignore", ".gitignore"),
    Embedded { executable: true, ..embedded!("playbooks/inventory") },
    embedded!("playbooks/README.md"),
    embedded!("playbooks/handlers/approve.yml"),
    embedded!("playbooks/library/kubewright.py"),
    embedded!("playbooks/library/kubewright_membership.py"),
    embedded!("playbooks/renew-certs.yml"),
    embedded!("playbooks/reset.yml"),
    embedded!("playbooks/scale.yml"),
    embedded!("playbooks/snapshot-etcd.yml"),
    embedded!("playbooks/tasks/endpoint.yml"),
    embedded!("playbooks/tasks/init.yml"),
    embedded!("playbooks/tasks/join.yml"),
    embedded!("playbooks/tasks/kubeconfig.yml"),
    embedded!("playbooks/tasks/look.yml"),
    embedded!("playbooks/tasks/move.yml"),
    embedded!("playbooks/tasks/pending.yml"),
    embedded!("playbooks/tasks/program.yml"),
    embedded!("playbooks/tasks/reset.yml"),
    embedded!("playbooks/tasks/snapshot.yml"),
    embedded!("playbooks/templates/join.yaml.j2"),
    embedded!("playbooks/up.yml"),
    embedded!("playbooks/upgrade.yml"),
    embedded!("playbooks/vars/cluster.yml"),
];

/// Its files with the lab file of a variant; `None` where there is no such variant.
pub fn files(variant: &str) -> Option<Vec<Embedded>> {
    let (_, text) = VARIANTS.iter().find(|(name, _)| *name == variant)?;
    let lab = Embedded { path: "lab.yaml", text, executable: false };
    Some(std::iter::once(lab).chain(FILES).collect())
}
