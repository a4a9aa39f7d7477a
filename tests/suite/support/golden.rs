//! The recorded output of the real kubeadm, where this machine has it.

use crate::skip::skip;
use std::path::Path;
use std::path::PathBuf;

/// The folder named by `KUBEWRIGHT_GOLDEN`, or the one beside the repository. Without either the test is skipped, and
/// has nothing to compare with.
#[expect(clippy::disallowed_methods, reason = "tests read their surroundings")]
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("KUBEWRIGHT_GOLDEN").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/kubeadm/golden");
    let found = named.into_iter().chain([beside]).find(|folder| folder.is_dir());
    if found.is_none() {
        skip(test, "no recorded output of kubeadm here; KUBEWRIGHT_GOLDEN names its directory");
    }
    found
}
