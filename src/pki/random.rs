//! Randomness as an argument: serial numbers, nonces, tokens and certificate keys.

use crate::cluster::Secret;

/// A source of random bytes. Tests bring a predictable one.
pub trait Random {
    fn fill(&mut self, buffer: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

/// The letters of a bootstrap token.
const TOKEN_ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

impl Random for SystemRandom {
    fn fill(&mut self, buffer: &mut [u8]) {
        // The kernel's own: the crypto library's generator takes 20 ms to gather entropy before its first byte,
        // which a dry run would pay for a token that it never uses.
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("the operating system has no randomness: {error}"),
            }
        }
    }
}

/// A serial number as kubeadm draws it: uniform in 1 … 2^63−2.
pub fn serial(random: &mut dyn Random) -> u64 {
    const LIMIT: u64 = (1 << 63) - 2;
    loop {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        let draw = u64::from_be_bytes(bytes) >> 1;
        if draw < LIMIT {
            return draw + 1;
        }
    }
}

/// The id and the secret of a new bootstrap token: six and sixteen of `a-z0-9`.
pub fn token(random: &mut dyn Random) -> (String, Secret) {
    (token_part(random, 6), Secret::new(token_part(random, 16)))
}

/// A key for the `kubeadm-certs` Secret: 32 bytes in hexadecimal.
pub fn certificate_key(random: &mut dyn Random) -> Secret {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    Secret::new(hex(&bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|nibble| char::from(TOKEN_ALPHABET[usize::from(nibble)]))
        .collect()
}

/// The bytes of an even number of hexadecimal digits, in either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

fn token_part(random: &mut dyn Random, length: usize) -> String {
    // Bytes from 252 on are drawn again: 252 is the largest multiple of 36 in a byte, so no letter is
    // favoured.
    const FAIR: u8 = 252;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0; 1];
        random.fill(&mut byte);
        if byte[0] < FAIR {
            text.push(char::from(TOKEN_ALPHABET[usize::from(byte[0]) % TOKEN_ALPHABET.len()]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the listed bytes, then counts upwards.
    struct Script(Vec<u8>, u8);

    impl Random for Script {
        fn fill(&mut self, buffer: &mut [u8]) {
            for byte in buffer {
                *byte = if self.0.is_empty() {
                    self.1 = self.1.wrapping_add(1);
                    self.1
                } else {
                    self.0.remove(0)
                };
            }
        }
    }

    #[test]
    fn serials_are_never_zero_and_fit_63_bits() {
        assert_eq!(serial(&mut Script(vec![0; 8], 0)), 1);
        let largest = (u64::MAX - 5).to_be_bytes();
        assert_eq!(serial(&mut Script(largest.to_vec(), 0)), (1 << 63) - 2);
        // The two draws above the range are thrown away; the next one counts.
        let mut script = [u64::MAX.to_be_bytes(), (u64::MAX - 2).to_be_bytes(), 6_u64.to_be_bytes()].concat();
        assert_eq!(serial(&mut Script(std::mem::take(&mut script), 0)), 4);
    }

    #[test]
    fn tokens_have_the_form_that_kubernetes_asks_for() {
        let (id, secret) = token(&mut SystemRandom);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(id.len() == 6 && id.chars().all(plain), "{id}");
        assert!(secret.expose().len() == 16 && secret.expose().chars().all(plain));
        assert_eq!(token_part(&mut Script(vec![255, 252, 0, 35, 36, 251], 0), 4), "0z0z");
    }

    #[test]
    fn hexadecimal_reads_back() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex("009FfF"), Some(vec![0, 0x9f, 0xff]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0g"), None);
        assert_eq!(certificate_key(&mut Script(vec![0xab; 32], 0)).expose(), "ab".repeat(32));
    }
}
