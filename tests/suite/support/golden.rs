//! The recorded output of the real kubeadm, where this machine has it.

use std::path::Path;
use std::path::PathBuf;

/// The folder named by `KUBEWRIGHT_GOLDEN`, or the one beside the repository. Without either the reason is printed
/// and the test has nothing to compare with.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read their surroundings and say what they lack"
)]
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/kubeadm/golden");
    let folder = std::env::var_os("KUBEWRIGHT_GOLDEN").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {test}: no kubeadm output at {}; set KUBEWRIGHT_GOLDEN", folder.display());
    None
}
