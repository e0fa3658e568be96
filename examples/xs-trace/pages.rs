//! Writes xs-trace's man pages and shell completions, of the definitions of its command line: `xs-trace-pages DIRECTORY`.

#[allow(dead_code)] // What only the program itself uses.
mod arguments;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::Shell;

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1).map(PathBuf::from);
    let (Some(to), None) = (words.next(), words.next()) else {
        eprintln!("xs-trace-pages: wanted is one folder, for man pages and completions");
        return ExitCode::from(2);
    };
    match write(&to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xs-trace-pages: {}: {error}", to.display());
            ExitCode::FAILURE
        }
    }
}

fn write(to: &std::path::Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut command = arguments::Arguments::command();
    clap_mangen::generate_to(command.clone(), to)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, "xs-trace", to)?;
    }
    Ok(())
}
