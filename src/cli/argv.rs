//! Secrets on the command line do not stay in the process list.
//!
//! Anybody on the host can read `/proc/PID/cmdline`. So before anything else, a process that was given a token or a
//! certificate key starts its own program again in its place (`execve`: same process, same streams, same exit code)
//! with those words masked, and hands the true ones over through a pipe. What is left is the moment until then.
//!
//! The masked command line begins with `<arguments:N>`, N being the pipe's descriptor. The pipe holds at most one
//! message and is empty once that is read, so the descriptor, which only unsafe code could close by its number, leads to
//! nothing. Where any of this is not possible, the run goes on as it was started.
#![expect(clippy::disallowed_methods, reason = "it starts this very program again, before there is any host")]

use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::FdFlags;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::fd::AsRawFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Flags whose value is a secret whatever it looks like.
const SECRET_FLAGS: [&str; 4] =
    ["--token", "--discovery-token", "--tls-bootstrap-token", "--certificate-key"];
const HIDDEN: &str = "<hidden>";
const HANDED_OVER: (&str, &str) = ("<arguments:", ">");
/// What every pipe takes at once, without anybody reading (pipe(7)): secrets are a few dozen bytes.
const MOST: usize = 4096;

/// The arguments of this process as they were typed, the program's name first. When they hold secrets, this call does
/// not return: the program starts anew, and there it returns them.
pub fn hide_secrets(arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some(descriptor) = arguments.get(1).and_then(|first| handed_over(first)) {
        return taken_over(&arguments, descriptor).unwrap_or(arguments);
    }
    let masked = masked(&arguments);
    if masked != arguments {
        // It returns only when it failed; then the secrets stay visible, and the work is done all the same.
        let _ = start_again(&arguments, masked);
    }
    arguments
}

/// A text with everything that looks like a secret masked: the second half of bootstrap tokens, certificate keys.
pub fn masked_text(text: &str) -> String {
    String::from_utf8_lossy(&masked_bytes(text.as_bytes())).into_owned()
}

/// The same arguments with secrets masked; the program's name is never one.
fn masked(arguments: &[OsString]) -> Vec<OsString> {
    let mut masked: Vec<OsString> = arguments.iter().take(1).cloned().collect();
    let mut follows = false;
    for argument in arguments.iter().skip(1) {
        let bytes = argument.as_bytes();
        let text = if follows { masked_value(bytes) } else { masked_argument(bytes) };
        follows = SECRET_FLAGS.iter().any(|flag| flag.as_bytes() == bytes);
        masked.push(OsString::from_vec(text));
    }
    masked
}

fn masked_argument(bytes: &[u8]) -> Vec<u8> {
    let flag = SECRET_FLAGS.iter().find_map(|flag| {
        let value = bytes.strip_prefix(flag.as_bytes())?.strip_prefix(b"=")?;
        Some([flag.as_bytes(), b"=", &masked_value(value)].concat())
    });
    flag.unwrap_or_else(|| masked_bytes(bytes))
}

/// The value of a secret's flag: of a token the public half stays, anything else goes wholly.
fn masked_value(value: &[u8]) -> Vec<u8> {
    let masked = masked_bytes(value);
    if masked == value && !value.is_empty() { HIDDEN.as_bytes().to_vec() } else { masked }
}

/// Masks every word, in the sense of letters and digits, that is half of a token or a certificate key.
fn masked_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end =
            bytes[at..].iter().position(|byte| !byte.is_ascii_alphanumeric()).map_or(bytes.len(), |n| at + n);
        let word = &bytes[at..end];
        if is_token_secret(&bytes[..at], word) || is_certificate_key(&bytes[..at], word) {
            text.extend_from_slice(HIDDEN.as_bytes());
        } else {
            text.extend_from_slice(word);
        }
        text.extend(bytes.get(end));
        at = end + 1;
    }
    text
}

/// Sixteen characters after six and a dot.
fn is_token_secret(before: &[u8], word: &[u8]) -> bool {
    let lower = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let Some(before) = before.strip_suffix(b".") else { return false };
    let start = before.iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let id = &before[start..];
    word.len() == 16 && lower(word) && id.len() == 6 && lower(id)
}

/// Sixty-four hexadecimal digits that are no pin (`sha256:…`).
fn is_certificate_key(before: &[u8], word: &[u8]) -> bool {
    let pin = before.len() >= 7 && before[before.len() - 7..].eq_ignore_ascii_case(b"sha256:");
    word.len() == 64 && !pin && word.iter().all(u8::is_ascii_hexdigit)
}

/// Puts this program in its own place, with other words. It returns only when that failed.
fn start_again(arguments: &[OsString], masked: Vec<OsString>) -> Result<(), std::io::Error> {
    let message = message(arguments, &masked);
    if message.len() > MOST {
        return Err(std::io::ErrorKind::ArgumentListTooLong.into());
    }
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut left = message.as_slice();
    while !left.is_empty() {
        let count = rustix::io::write(&writer, left)?;
        left = &left[count..];
    }
    // From here on it survives the change of programs; the writing end does not, which ends the message.
    rustix::io::fcntl_setfd(&reader, FdFlags::empty())?;
    let (open, close) = HANDED_OVER;
    let mark = format!("{open}{}{close}", reader.as_raw_fd());
    let mut words = masked.into_iter();
    let name = words.next().unwrap_or_default();
    Err(Command::new("/proc/self/exe").arg0(name).arg(mark).args(words).exec())
}

/// What was masked: the place of each word, and the word, each ended by a zero byte.
fn message(arguments: &[OsString], masked: &[OsString]) -> Vec<u8> {
    let mut message = Vec::new();
    for (place, (word, _)) in
        arguments.iter().zip(masked).enumerate().filter(|(_, (word, masked))| word != masked)
    {
        message.extend_from_slice(place.to_string().as_bytes());
        message.push(0);
        message.extend_from_slice(word.as_bytes());
        message.push(0);
    }
    message
}

/// The descriptor that an argument names.
fn handed_over(argument: &OsStr) -> Option<u32> {
    let (open, close) = HANDED_OVER;
    argument.to_str()?.strip_prefix(open)?.strip_suffix(close)?.parse().ok()
}

/// The true arguments; `None` when the mark was typed by somebody and there is no such message.
fn taken_over(arguments: &[OsString], descriptor: u32) -> Option<Vec<OsString>> {
    let message = read_all(&open(descriptor)?)?;
    // The kernel names a process by the file that it runs, which was `exe`.
    let _ = rustix::thread::set_name(c"kubewright");
    let mut true_ones: Vec<OsString> = arguments.to_vec();
    true_ones.remove(1);
    let mut fields = message.split(|byte| *byte == 0);
    while let (Some(place), Some(word)) = (fields.next(), fields.next()) {
        let place: usize = std::str::from_utf8(place).ok()?.parse().ok()?;
        OsStr::from_bytes(word).clone_into(true_ones.get_mut(place)?);
    }
    Some(true_ones)
}

/// Opens an inherited pipe anew: a descriptor that is only a number is nobody's to read from.
fn open(descriptor: u32) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{descriptor}");
    // Not waiting for a writer: there is none any more.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let pipe = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&pipe).ok()?.st_mode);
    (kind == FileType::Fifo).then_some(pipe)
}

fn read_all(pipe: &OwnedFd) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut buffer = [0; MOST];
    loop {
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) => break,
            Ok(count) => message.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    (!message.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168";

    fn masked_line(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        masked(&words).iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn masks_tokens_and_keys_and_nothing_else() {
        for (typed, expected) in [
            ("k join h:6443 --token abcdef.0123456789abcdef", "k join h:6443 --token abcdef.<hidden>"),
            ("k join --token=abcdef.0123456789abcdef -v", "k join --token=abcdef.<hidden> -v"),
            ("k token create abcdef.0123456789abcdef", "k token create abcdef.<hidden>"),
            (&format!("k join --certificate-key {KEY} x"), "k join --certificate-key <hidden> x"),
            (&format!("k join --certificate-key={KEY}"), "k join --certificate-key=<hidden>"),
            (&format!("k x {}", KEY.to_uppercase()), "k x <hidden>"),
            // Malformed ones, and tokens of other kinds.
            ("k join --token abcdef.0123456789abcde x", "k join --token <hidden> x"),
            ("k join --discovery-token=ABCDEF.0123456789abcdef", "k join --discovery-token=<hidden>"),
            ("k kubeconfig user --token eyJh.bGci.xyz", "k kubeconfig user --token <hidden>"),
            ("k join --token= x", "k join --token= x"),
        ] {
            assert_eq!(masked_line(typed), expected, "{typed}");
        }
        for line in [
            &format!("k join --discovery-token-ca-cert-hash sha256:{KEY}"),
            &format!("k join --discovery-token-ca-cert-hash=SHA256:{KEY}"),
            &format!("k x {KEY}0"),
            "k join api.example.com:6443 --control-plane",
            "k token delete abcdef",
            "k token create --ttl 2h --print-join-command",
            "k init --token-ttl 2h --config /etc/abcdef.yaml",
            "abcdef.0123456789abcdef version",
        ] {
            assert_eq!(masked_line(line), line);
        }
    }

    #[test]
    fn masks_within_a_text() {
        let text = format!("unexpected argument 'abcdef.0123456789abcdef', {KEY}; sha256:{KEY} é");
        let expected = format!("unexpected argument 'abcdef.<hidden>', <hidden>; sha256:{KEY} é");
        assert_eq!(masked_text(&text), expected);
    }

    #[test]
    fn the_message_restores_what_was_masked() {
        let typed: Vec<OsString> =
            ["k", "join", "--token", "abcdef.0123456789abcdef"].map(OsString::from).to_vec();
        assert_eq!(message(&typed, &masked(&typed)), b"3\0abcdef.0123456789abcdef\0");
    }

    #[test]
    fn a_mark_that_somebody_typed_is_an_argument_like_any_other() {
        for mark in ["<arguments:0>", "<arguments:4000000000>", "<arguments:x>", "<arguments:>"] {
            let typed: Vec<OsString> = ["k", mark, "version"].map(OsString::from).to_vec();
            assert_eq!(hide_secrets(typed.clone()), typed);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_masked_stays_masked(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let once = masked_bytes(&bytes);
            proptest::prop_assert_eq!(masked_bytes(&once), once);
        }
    }
}
