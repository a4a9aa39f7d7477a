//! Which images are in an archive, without unpacking it: archives are large, and their table of contents is small.

use serde_json::Value;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;

const BLOCK: usize = 512;
/// A table of contents larger than this is none.
const LARGEST: u64 = 4 << 20;

/// The references of the images in an archive of `docker save` or `ctr images export`; empty when it is neither.
///
/// # Errors
/// It cannot be read.
pub fn references(archive: &mut (impl Read + Seek)) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    while let Some((name, size)) = header(archive)? {
        let padded = size.div_ceil(BLOCK as u64) * BLOCK as u64;
        let name = name.trim_start_matches("./");
        if ["manifest.json", "index.json"].contains(&name) && size <= LARGEST {
            let mut text = Vec::new();
            archive.by_ref().take(size).read_to_end(&mut text)?;
            archive.seek(SeekFrom::Current(i64::try_from(padded - size).unwrap_or_default()))?;
            let value: Value = serde_json::from_slice(&text).unwrap_or_default();
            found.extend(named_by(&value));
        } else {
            archive.seek(SeekFrom::Current(i64::try_from(padded).map_err(io::Error::other)?))?;
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Name and size of the next file; `None` at the end, and where there is no tar archive.
fn header(archive: &mut impl Read) -> io::Result<Option<(String, u64)>> {
    let mut block = [0; BLOCK];
    match archive.read_exact(&mut block) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    if block[257..262] != *b"ustar" {
        return Ok(None);
    }
    let text = |from: usize, to: usize| {
        let end = block[from..to].iter().position(|byte| *byte == 0).map_or(to, |end| from + end);
        String::from_utf8_lossy(&block[from..end]).into_owned()
    };
    let size = if block[124] & 0x80 != 0 {
        // Of a file over 8 GiB, as GNU tar writes it.
        block[128..136].iter().fold(0, |size, byte| size << 8 | u64::from(*byte))
    } else {
        u64::from_str_radix(text(124, 136).trim(), 8).unwrap_or_default()
    };
    Ok(Some((text(0, 100), size)))
}

fn named_by(contents: &Value) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(full).collect()
    };
    let of_docker = contents.as_array().into_iter().flatten().flat_map(|image| texts(&image["RepoTags"]));
    let of_oci = contents["manifests"].as_array().into_iter().flatten().filter_map(|image| {
        let notes = &image["annotations"];
        let name = notes["io.containerd.image.name"].as_str();
        // Without a registry it is a tag alone, of which nobody knows the image.
        let reference =
            || notes["org.opencontainers.image.ref.name"].as_str().filter(|name| name.contains('/'));
        name.or_else(reference).map(full)
    });
    of_docker.chain(of_oci).collect()
}

/// Docker leaves out its own registry.
fn full(reference: &str) -> String {
    let (first, rest) = reference.split_once('/').unwrap_or(("", reference));
    if first.contains(['.', ':']) || first == "localhost" {
        reference.to_owned()
    } else if first.is_empty() {
        format!("docker.io/library/{rest}")
    } else {
        format!("docker.io/{reference}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn entry(name: &str, content: &str) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        let size = format!("{:011o}\0", content.len());
        block[124..136].copy_from_slice(size.as_bytes());
        block[257..262].copy_from_slice(b"ustar");
        block.extend(content.as_bytes());
        block.resize(block.len().div_ceil(BLOCK) * BLOCK, 0);
        block
    }

    fn of(entries: &[(&str, &str)]) -> Vec<String> {
        let bytes = entries.iter().flat_map(|(name, content)| entry(name, content)).collect::<Vec<u8>>();
        references(&mut Cursor::new([bytes, vec![0; 2 * BLOCK]].concat())).unwrap()
    }

    #[test]
    fn finds_the_images_of_both_kinds() {
        let layer = "x".repeat(1500);
        let docker = r#"[{"RepoTags": ["registry.k8s.io/pause:3.10.2", "busybox:1"]}, {"RepoTags": null}]"#;
        assert_eq!(
            of(&[("blobs/a", &layer), ("manifest.json", docker)]),
            ["docker.io/library/busybox:1", "registry.k8s.io/pause:3.10.2"]
        );
        let oci = r#"{"manifests": [{"annotations": {"io.containerd.image.name": "quay.io/a/b:1",
            "org.opencontainers.image.ref.name": "1"}}, {"annotations": {"org.opencontainers.image.ref.name": "2"}}]}"#;
        assert_eq!(of(&[("./index.json", oci), ("manifest.json", "[]")]), ["quay.io/a/b:1"]);
    }

    #[test]
    fn what_is_no_archive_has_no_images() {
        assert_eq!(references(&mut Cursor::new(vec![7; 2000])).unwrap(), Vec::<String>::new());
        assert_eq!(of(&[("manifest.json", "{")]), Vec::<String>::new());
    }
}
