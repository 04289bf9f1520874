//! The `dbbuild` program.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(dbbuild::cli::main())
}
