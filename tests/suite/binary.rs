//! The real program, run as an operator runs it.
#![expect(clippy::disallowed_methods, reason = "tests run the program")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kubewright");

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Standard output of a run that must have gone well.
    #[track_caller]
    pub(crate) fn data(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }
}

/// Runs the program with nothing on standard input.
pub(crate) fn kubewright(args: &[&str]) -> Outcome {
    fed(args, b"")
}

/// Runs the program with `input` on standard input.
pub(crate) fn fed(args: &[&str], input: &[u8]) -> Outcome {
    run(Command::new(PROGRAM).args(args), input)
}

/// Runs a line of shell in `directory`, with the program in `PATH`.
pub(crate) fn shell(line: &str, directory: &Path) -> Outcome {
    let folder = Path::new(PROGRAM).parent().unwrap().display();
    let line = format!("PATH={folder}:$PATH; {line}");
    run(Command::new("bash").args(["-o", "pipefail", "-c", &line]).current_dir(directory), b"")
}

/// Runs a command whose surroundings do not depend on who runs the tests.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Outcome {
    for variable in ["COLUMNS", "NO_COLOR", "CLICOLOR_FORCE", "TERM", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that does not want its input closes the pipe: no matter.
    let feeding = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_program_needs_no_library_that_a_host_may_lack() {
    let test = "the_program_needs_no_library_that_a_host_may_lack";
    let Ok(output) = Command::new("ldd").arg(PROGRAM).output() else {
        crate::skip::skip(test, "there is no ldd here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let usual = [
        "linux-vdso",
        "ld-linux",
        "libc.so",
        "libm.so",
        "libgcc_s.so",
        "libdl.so",
        "libpthread.so",
        "librt.so",
    ];
    let odd: Vec<&str> =
        said.lines().filter(|line| !usual.iter().any(|library| line.contains(library))).collect();
    // Built against the distribution's OpenSSL by choice, it needs that.
    let chosen = std::env::var_os("OPENSSL_NO_VENDOR").is_some();
    assert!(odd.is_empty() || chosen, "{odd:?}");
}
