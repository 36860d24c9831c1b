//! What the package needs of this program besides itself: manual pages and completions of shells.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::error::CliError;

/// Writes `man1/*.1`, and a file for each shell, into a folder.
pub(crate) fn write(folder: &Path) -> Result<(), CliError> {
    let pages = folder.join("man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Args::command(), pages)?;
    let mut command = Args::command();
    for (shell, file) in
        [(Shell::Bash, "gridway.bash"), (Shell::Zsh, "gridway.zsh"), (Shell::Fish, "gridway.fish")]
    {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "gridway", &mut script);
        fs::write(folder.join(file), script)?;
    }
    Ok(())
}
