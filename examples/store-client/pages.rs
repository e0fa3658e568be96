//! Man pages and shell completions, of the definitions of a tool's command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// The program that writes those of one tool into the folder that is its only argument.
pub fn write_pages<A: CommandFactory>() -> ExitCode {
    let command = A::command();
    let program = format!("{}-pages", command.get_name());
    let mut words = env::args_os().skip(1).map(PathBuf::from);
    let (Some(to), None) = (words.next(), words.next()) else {
        output::tell(format_args!("{program}: wanted is one folder, for man pages and completions"));
        return ExitCode::from(2);
    };
    match write(command, &to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(format_args!("{program}: {}: {error}", to.display()));
            ExitCode::FAILURE
        }
    }
}

fn write(mut command: Command, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    clap_mangen::generate_to(command.clone(), to)?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, &name, to)?;
    }
    Ok(())
}
