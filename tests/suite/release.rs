//! What decides whether a program may be published as a portable one.
#![expect(clippy::disallowed_methods, reason = "tests run programs")]

use crate::binary::PROGRAM;
use crate::skip::skip;
use std::process::Command;

const PORTABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/release/portable");

fn judged(program: &str, glibc: &str) -> (bool, String) {
    let output = Command::new(PORTABLE).args([program, glibc]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_program_is_portable_by_the_symbols_and_libraries_that_it_needs() {
    let test = "a_program_is_portable_by_the_symbols_and_libraries_that_it_needs";
    if Command::new("objdump").arg("--version").output().is_err() {
        skip(test, "no objdump on this machine (apt-get install binutils)");
        return;
    }
    let (well, said) = judged(PROGRAM, "99.0");
    assert!(well && said.contains("needs glibc 2."), "{said}");
    // Nothing for 64 bits is older than 2.2.5.
    let (well, said) = judged(PROGRAM, "2.2");
    assert!(!well && said.contains("and 2.2 is the limit") && said.contains("GLIBC_"), "{said}");
    let (well, said) = judged("/bin/bash", "99.0");
    assert!(!well && said.contains("libtinfo"), "{said}");
}
