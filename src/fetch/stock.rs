//! What is in a directory for hosts that reach nothing else.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use crate::cluster::prepare::ImageArchive;
use crate::cluster::prepare::Stock;
use crate::cluster::prepare::StockFile;
use crate::fetch::FetchError;
use crate::fetch::archive;
use crate::fetch::download::open;
use crate::fetch::download::sha256_of;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Folders in which binaries of one architecture lie.
const FOLDERS: [&str; 3] = ["", "amd64", "arm64"];

/// Reads a directory: the files whose plain or full name `wanted` knows, and the image archives (`*.tar`) in it and in
/// its folder `images`.
///
/// # Errors
/// It cannot be read.
pub fn read(directory: &str, wanted: &dyn Fn(&str) -> bool) -> Result<Stock, FetchError> {
    let root = Path::new(directory);
    let mut stock = Stock::default();
    for folder in FOLDERS {
        for path in files(&root.join(folder), folder.is_empty())? {
            let name = name_of(&path);
            if !wanted(&name) {
                continue;
            }
            let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let (_, size) = open(&path)?;
            let sha256 = sha256_of(&path)?;
            stock.files.insert(key, StockFile { path: path.display().to_string(), size, sha256 });
        }
    }
    for folder in ["", "images"] {
        for path in files(&root.join(folder), folder.is_empty())? {
            if path.extension().is_none_or(|end| end != "tar") {
                continue;
            }
            let (mut file, size) = open(&path)?;
            let unread = |source| FetchError::File { path: path.display().to_string(), source };
            let references = archive::references(&mut file).map_err(unread)?;
            if !references.is_empty() {
                stock.images.push(ImageArchive { path: path.display().to_string(), size, references });
            }
        }
    }
    Ok(stock)
}

/// The files of a folder by name; one that need not be there may be missing.
fn files(folder: &Path, needed: bool) -> Result<Vec<PathBuf>, FetchError> {
    let unread = |source| FetchError::File { path: folder.display().to_string(), source };
    let entries = match fs::read_dir(folder) {
        Err(_) if !needed => return Ok(Vec::new()),
        entries => entries.map_err(unread)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unread)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
