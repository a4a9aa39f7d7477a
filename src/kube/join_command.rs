//! What to type on the next host, and what is said when the first one is done.

use crate::cluster::HostPort;
use crate::cluster::Node;
use std::fmt::Write as _;

/// Stands for what the operator asked not to see.
pub const WITHHELD: &str = "<value withheld>";

/// The commands that join a host to this cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinCommand<'a> {
    /// `kubewright`, or `kubeadm`, whose command is the same.
    pub program: &'a str,
    /// `host:port` of the API, as the kubeconfig has it.
    pub endpoint: &'a str,
    /// `id.secret`, or [`WITHHELD`].
    pub token: &'a str,
    /// `sha256:…` of each authority that the cluster's kubeconfig trusts.
    pub ca_cert_hashes: &'a [String],
    /// The key to the uploaded certificates, or [`WITHHELD`]; `None` where none were uploaded.
    pub certificate_key: Option<&'a str>,
}

impl std::fmt::Debug for JoinCommand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinCommand").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl JoinCommand<'_> {
    /// For a worker; ends in a space and no newline, as kubeadm's does.
    pub fn worker(&self) -> String {
        let mut text = format!("{} join {} --token {} \\\n\t", self.program, self.endpoint, self.token);
        for hash in self.ca_cert_hashes {
            write!(text, "--discovery-token-ca-cert-hash {hash} ").expect("writing to a string cannot fail");
        }
        text
    }

    /// For a control plane.
    pub fn control_plane(&self) -> String {
        let mut text = format!("{}\\\n\t--control-plane ", self.worker());
        if let Some(key) = self.certificate_key {
            write!(text, "--certificate-key {key}").expect("writing to a string cannot fail");
        }
        text
    }
}

/// The endpoint as a join command names it.
pub fn endpoint_of(server_url: &str) -> &str {
    server_url.strip_prefix("https://").unwrap_or(server_url)
}

/// What is said on a host that has joined. `serving` says that its kubelet waits for a serving certificate.
pub fn joined_text(node: &Node, serving: bool) -> String {
    let name = node.registered_name();
    let mut text = if node.is_control_plane() {
        [
            &format!("\nThis host is a control plane of the cluster now, as node {name}.\n\n"),
            "To use the cluster as an ordinary user of this host:\n\n  mkdir -p $HOME/.kube\n",
            "  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config\n",
            "  sudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n",
        ]
        .concat()
    } else {
        format!("\nThis host is part of the cluster now, as node {name}.\n\n")
    };
    if serving {
        text.push_str(
            "Its kubelet has asked for a serving certificate, without which `kubectl logs` does not work. On a control \
             plane:\n\n  kubewright certs approve\n\n",
        );
    }
    text + "To see it, on a control plane:\n\n  kubectl get nodes\n"
}

/// What stands in front of the commands: how the operator gets at the cluster, and what it still lacks.
///
/// `control_plane_endpoint` is the address shared by all control planes, if the cluster has one: only then can
/// further control planes join.
pub fn success_text(
    command: &JoinCommand,
    kubeconfig: &str,
    control_plane_endpoint: Option<&HostPort>,
    certificates_uploaded: bool,
) -> String {
    let mut text = opening(kubeconfig);
    if control_plane_endpoint.is_some() {
        text.push_str(&further_control_planes(command, certificates_uploaded));
    }
    let worker = command.worker();
    text + "To add a worker, run this on it as root:\n\n" + &worker + "\n"
}

fn opening(kubeconfig: &str) -> String {
    [
        "\nThe control plane is up.\n\nTo use the cluster as an ordinary user:\n\n  mkdir -p $HOME/.kube\n",
        &format!("  sudo cp -i {kubeconfig} $HOME/.kube/config\n"),
        "  sudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n",
        &format!("As root, this is enough:\n\n  export KUBECONFIG={kubeconfig}\n\n"),
        "Pods reach each other once a pod network is installed:\n\n  kubectl apply -f [pod-network].yaml\n\n",
    ]
    .concat()
}

fn further_control_planes(command: &JoinCommand, uploaded: bool) -> String {
    let lead = if uploaded {
        "To add a control plane, run this on it as root:"
    } else {
        "To add a control plane, first copy the authorities and the service-account keys to it, then run as root:"
    };
    let mut text = format!("{lead}\n\n  {}\n\n", command.control_plane());
    if uploaded {
        let notes = [
            "The certificate key opens the cluster's keys; keep it to yourself. The uploaded certificates are\n",
            "deleted after two hours; to upload them again:\n\n",
            &format!("  {} init phase upload-certs --upload-certs\n\n", command.program),
        ];
        text.push_str(&notes.concat());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command<'a>(hashes: &'a [String], key: Option<&'a str>) -> JoinCommand<'a> {
        JoinCommand {
            program: "kubewright",
            endpoint: endpoint_of("https://api.example.com:6443"),
            token: "abcdef.0123456789abcdef",
            ca_cert_hashes: hashes,
            certificate_key: key,
        }
    }

    #[test]
    fn commands_have_kubeadms_shape() {
        let hashes = ["sha256:aa".to_owned(), "sha256:bb".to_owned()];
        let worker = "kubewright join api.example.com:6443 --token abcdef.0123456789abcdef \\\n\t\
                      --discovery-token-ca-cert-hash sha256:aa --discovery-token-ca-cert-hash sha256:bb ";
        assert_eq!(command(&hashes, None).worker(), worker);
        assert_eq!(command(&hashes, None).control_plane(), format!("{worker}\\\n\t--control-plane "));
        let with_key = command(&hashes, Some(WITHHELD)).control_plane();
        assert_eq!(with_key, format!("{worker}\\\n\t--control-plane --certificate-key <value withheld>"));
    }

    #[test]
    fn the_text_offers_control_planes_only_with_a_shared_endpoint() {
        let hashes = ["sha256:aa".to_owned()];
        let endpoint = HostPort::new("api.example.com", 6443);
        for (endpoint, uploaded, has, lacks) in [
            (None, false, "\nkubewright join", "--control-plane"),
            (Some(&endpoint), true, "two hours", "first copy"),
            (Some(&endpoint), false, "first copy", "two hours"),
        ] {
            let text =
                success_text(&command(&hashes, None), "/etc/kubernetes/admin.conf", endpoint, uploaded);
            assert!(text.starts_with("\nThe control plane is up.\n"), "{text}");
            assert!(text.contains("  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config\n"), "{text}");
            assert!(text.contains(has) && !text.contains(lacks), "{text}");
            assert_eq!(text.contains("\n  kubewright join"), endpoint.is_some(), "{text}");
        }
    }

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let text = format!("{:?}", command(&[], Some("00ff")));
        assert!(!text.contains("0123456789abcdef") && !text.contains("00ff"), "{text}");
    }
}
