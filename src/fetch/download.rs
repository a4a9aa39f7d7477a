//! Downloads of this machine: proxies from the environment, redirects, resumed, and verified before anybody sees them.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use aws_lc_rs::digest;
use std::fmt::Write as _;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;
use ureq::tls::TlsProvider;

const CONNECT: Duration = Duration::from_secs(15);
/// A whole file over a slow line.
const LIMIT: Duration = Duration::from_mins(30);

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url} answered with {status}; is the version right, and the mirror complete?")]
    Status { url: String, status: u16 },
    #[error("cannot download {url}: {why}; the next run goes on where this one ended")]
    Transfer { url: String, why: String },
    #[error("{url} has the SHA-256 {found}, and {wanted} is wanted; it was thrown away")]
    Digest { url: String, found: String, wanted: String },
    #[error("cannot keep downloads in `{path}`")]
    Cache { path: String, source: io::Error },
    #[error("cannot read `{path}`")]
    File { path: String, source: io::Error },
}

/// Files by their digest in a directory of this machine.
#[derive(Debug)]
pub struct Downloads {
    directory: PathBuf,
    agent: Agent,
    /// One at a time: several hosts ask for the same file, and one line is filled by one.
    turn: Mutex<()>,
}

impl Downloads {
    /// Keeps what it downloads in `directory`, which is made when there is something to keep.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            .user_agent(concat!("kubewright/", env!("CARGO_PKG_VERSION")));
        Self { directory: directory.into(), agent: config.build().new_agent(), turn: Mutex::default() }
    }

    /// A download with this digest, from the directory where it was kept.
    ///
    /// # Errors
    /// It cannot be had, or is something else.
    pub fn get(&self, url: &str, sha256: &str) -> Result<(File, u64), FetchError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.directory.join(sha256);
        if !is_kept(&kept, sha256) {
            fs::create_dir_all(&self.directory).map_err(|source| self.cache_error(source))?;
            let part = self.directory.join(format!("{sha256}.part"));
            self.bring(url, sha256, &part)?;
            fs::rename(&part, &kept).map_err(|source| self.cache_error(source))?;
        }
        open(&kept)
    }

    /// A small text.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn text(&self, url: &str) -> Result<String, FetchError> {
        let transfer =
            |error: ureq::Error| FetchError::Transfer { url: url.to_owned(), why: error.to_string() };
        let mut answer = self.agent.get(url).call().map_err(transfer)?;
        match answer.status().as_u16() {
            200 => answer.body_mut().read_to_string().map_err(transfer),
            status => Err(FetchError::Status { url: url.to_owned(), status }),
        }
    }

    fn bring(&self, url: &str, sha256: &str, part: &Path) -> Result<(), FetchError> {
        let resumed = fs::metadata(part).is_ok_and(|part| part.len() > 0);
        let outcome = self.transfer(url, part);
        let found = |part: &Path| sha256_of(part).unwrap_or_default();
        if found(part) == sha256 {
            return Ok(());
        }
        if resumed {
            // What an earlier run left may be of another file.
            let _ = fs::remove_file(part);
            self.transfer(url, part)?;
        } else {
            outcome?;
        }
        let found = found(part);
        if found == sha256 {
            return Ok(());
        }
        let _ = fs::remove_file(part);
        Err(FetchError::Digest { url: url.to_owned(), found, wanted: sha256.to_owned() })
    }

    fn transfer(&self, url: &str, part: &Path) -> Result<(), FetchError> {
        let failed = |why: String| FetchError::Transfer { url: url.to_owned(), why };
        let there = fs::metadata(part).map_or(0, |part| part.len());
        let request = self.agent.get(url);
        let request = if there > 0 { request.header("Range", format!("bytes={there}-")) } else { request };
        let mut answer = request.call().map_err(|error| failed(error.to_string()))?;
        let mut options = File::options();
        let mut file = match answer.status().as_u16() {
            200 => options.write(true).create(true).truncate(true).open(part),
            206 => options.append(true).open(part),
            // All of it is there, or it is of another file: the digest tells.
            416 => return Ok(()),
            status => return Err(FetchError::Status { url: url.to_owned(), status }),
        }
        .map_err(|source| self.cache_error(source))?;
        let mut body = answer.body_mut().with_config().limit(u64::MAX).reader();
        io::copy(&mut body, &mut file).map_err(|error| failed(error.to_string()))?;
        Ok(())
    }

    fn cache_error(&self, source: io::Error) -> FetchError {
        FetchError::Cache { path: self.directory.display().to_string(), source }
    }
}

fn is_kept(path: &Path, sha256: &str) -> bool {
    path.is_file() && sha256_of(path).is_ok_and(|found| found == sha256)
}

/// Opens a file of this machine; its size comes with it.
///
/// # Errors
/// It cannot be read.
pub fn open(path: &Path) -> Result<(File, u64), FetchError> {
    let unread = |source| FetchError::File { path: path.display().to_string(), source };
    let file = File::open(path).map_err(unread)?;
    let size = file.metadata().map_err(unread)?.len();
    Ok((file, size))
}

/// The digest of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, FetchError> {
    let (mut file, _) = open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|source| FetchError::File { path: path.display().to_string(), source })?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
    }
    Ok(context.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
