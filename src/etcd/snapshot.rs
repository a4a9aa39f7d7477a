//! A copy of the store on its way: etcd sends the SHA-256 of all that came before as the last 32 bytes.

use aws_lc_rs::digest;
use std::io;

/// The length of the digest behind the store.
const DIGEST: usize = 32;

/// Writes what comes, and compares at the end.
pub(super) struct Copy<'a> {
    into: &'a mut dyn io::Write,
    digest: digest::Context,
    /// The last bytes so far, which may be the digest.
    last: Vec<u8>,
    length: u64,
}

impl<'a> Copy<'a> {
    pub(super) fn new(into: &'a mut dyn io::Write) -> Self {
        Self { into, digest: digest::Context::new(&digest::SHA256), last: Vec::new(), length: 0 }
    }

    pub(super) fn add(&mut self, part: &[u8]) -> io::Result<()> {
        self.into.write_all(part)?;
        self.length += part.len() as u64;
        self.last.extend_from_slice(part);
        let sure = self.last.len().saturating_sub(DIGEST);
        self.digest.update(&self.last[..sure]);
        self.last.drain(..sure);
        Ok(())
    }

    /// The length of all of it, or why it is not whole.
    pub(super) fn end(self) -> Result<u64, String> {
        self.into.flush().map_err(|error| format!("the copy cannot be written: {error}"))?;
        if self.last.len() < DIGEST || self.digest.finish().as_ref() != self.last {
            return Err(format!("the copy of {} bytes is not whole: its digest is another one", self.length));
        }
        Ok(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(parts: &[&[u8]]) -> Result<u64, String> {
        let mut written = Vec::new();
        let mut copy = Copy::new(&mut written);
        for part in parts {
            copy.add(part).unwrap();
        }
        let length = copy.end()?;
        assert_eq!(written, parts.concat());
        Ok(length)
    }

    #[test]
    fn a_copy_is_whole_when_its_digest_says_so() {
        let store = [7; 100];
        let digest = digest::digest(&digest::SHA256, &store);
        let digest = digest.as_ref();
        assert_eq!(copied(&[&store, digest]), Ok(132));
        assert_eq!(copied(&[&store[..99], &[7, digest[0]], &digest[1..20], &digest[20..]]), Ok(132));
        assert!(copied(&[&store[..99], digest]).is_err());
        assert!(copied(&[&store, &digest[..31]]).is_err());
        assert!(copied(&[]).is_err());
    }
}
