//! The thin binary: everything is in the library, so that tests can call it.

fn main() -> std::process::ExitCode {
    kubewright::cli::main(kubewright::cli::argv::hide_secrets(std::env::args_os().collect()))
}
