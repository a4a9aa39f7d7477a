//! The recorded output of the real kubeadm, where this machine has it.

use std::path::Path;
use std::path::PathBuf;

/// The folder named by `KUBEWRIGHT_GOLDEN`, or the one beside the repository or the folder that it is in. Without either the reason is printed
/// and the test has nothing to compare with.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read their surroundings and say what they lack"
)]
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("KUBEWRIGHT_GOLDEN").map(PathBuf::from);
    let near =
        |above| Path::new(env!("CARGO_MANIFEST_DIR")).join(above).join("shared/reference/kubeadm/golden");
    let candidates = named.into_iter().chain([near(".."), near("../..")]);
    if let Some(folder) = candidates.into_iter().find(|folder| folder.is_dir()) {
        return Some(folder);
    }
    println!("skipped: {test}: kubeadm's recorded output is not here; name its folder in KUBEWRIGHT_GOLDEN");
    None
}
