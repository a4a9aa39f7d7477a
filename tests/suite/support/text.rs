//! Reading and comparing text files.

use std::path::Path;
use std::path::PathBuf;

#[expect(clippy::disallowed_methods, reason = "tests read their own data")]
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder and of those below it, sorted; none where there is no such folder.
#[expect(clippy::disallowed_methods, reason = "tests read their own data")]
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

/// Whether expected files are to be written anew instead of compared.
#[expect(clippy::disallowed_methods, reason = "BLESS is an argument of the test run")]
pub(crate) fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Makes `folder` hold exactly these files (path below it, text).
#[expect(clippy::disallowed_methods, reason = "tests write their own expectations")]
pub(crate) fn bless(folder: &Path, expected: &[(String, String)]) {
    for path in files(folder) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, text) in expected {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Fails with a diff where the texts differ.
pub(crate) fn assert_same(what: &str, expected: &str, actual: &str) {
    let diff = similar::TextDiff::from_lines(expected, actual);
    let diff = diff.unified_diff().header("expected", "actual").to_string();
    assert!(expected == actual, "{what} differs:\n{diff}");
}
