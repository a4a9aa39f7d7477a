//! What goes into a file: text, or a reference to something that is secret or random.
//!
//! A plan holds no key, so it can be printed, saved and compared. Execution resolves the references.

use crate::pki::CertName;
use crate::pki::Part;
use crate::plan::member::JoiningManifest;

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Text(String),
    /// A certificate or key of `node` (of the cluster, for an authority).
    Pki {
        node: String,
        cert: CertName,
        part: Part,
    },
    Kubeconfig(KubeconfigSpec),
    /// What a joining host proves itself with until it has a certificate, talking to `server`.
    BootstrapKubeconfig {
        server: String,
    },
    /// A file that the cluster hands to a joining host for this path: its CA to a worker, and from the Secret
    /// `kubeadm-certs` the client certificate of an external etcd.
    Downloaded {
        path: String,
    },
    /// The manifest of an etcd that joins others. One that is there is left alone once its member has started, even
    /// when etcd has other members by then.
    Joining(JoiningManifest),
}

impl Content {
    /// What can be shown of it: the text, with its hole where it has one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Joining(manifest) => Some(&manifest.text),
            Self::Pki { .. }
            | Self::Kubeconfig(_)
            | Self::BootstrapKubeconfig { .. }
            | Self::Downloaded { .. } => None,
        }
    }
}

/// A kubeconfig whose certificates are still references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigSpec {
    pub node: String,
    pub cluster_name: String,
    pub server: String,
    /// The user's name, which is also the certificate's common name.
    pub user: String,
    pub client: ClientCredential,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCredential {
    /// Certificate and key inside the file.
    Embedded(CertName),
    /// Certificate and key in one file on the host, which the kubelet renews.
    File(String),
}
