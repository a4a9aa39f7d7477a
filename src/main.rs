//! The thin binary: everything is in the library, so that tests can call it.

fn main() -> std::process::ExitCode {
    kubewright::cli::main(std::env::args_os())
}
