//! Checksum files, in all the forms in which projects publish them.

/// Whether a text is a SHA-256 digest in hexadecimal, lower case.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The digest of `file` in the text of a checksum file: a digest alone, or lines of digest and name, the name with a
/// `*` or a path before it.
pub fn find(text: &str, file: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let [only] = lines.as_slice()
        && is_digest(&only.to_lowercase())
    {
        return Some(only.to_lowercase());
    }
    lines.iter().find_map(|line| {
        let (digest, name) = line.split_once(char::is_whitespace)?;
        let digest = digest.to_lowercase();
        let name = name.trim().trim_start_matches('*').rsplit('/').next()?;
        (name == file && is_digest(&digest)).then_some(digest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "f6ae8efc0fa40079e1475e97cbe9d1bd3f106a28d6af78a11d9f1bd565515e60";
    const B: &str = "633301e2e32f8a5ad54031aab4901eb00308bec677dd15faa2751e8f9dab5ca4";

    #[test]
    fn reads_every_form() {
        for (text, found) in [
            (A.to_owned(), Some(A)),
            (format!("{}\n", A.to_uppercase()), Some(A)),
            (format!("{A}  runc.amd64\n"), Some(A)),
            (format!("{B}  runc.arm64\n{A} *./dist/runc.amd64\n"), Some(A)),
            (format!("{B}  runc.arm64\n"), None),
            (format!("{A}\n{B}\n"), None),
            (String::new(), None),
            ("<html>not found</html>".to_owned(), None),
            (format!("{}  runc.amd64", &A[1..]), None),
        ] {
            assert_eq!(find(&text, "runc.amd64").as_deref(), found, "{text}");
        }
    }
}
