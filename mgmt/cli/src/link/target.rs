//! Which node a command is for.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::Args;
use gridway_config::Control;
use gridway_control::Client;

use super::api::Credentials;
use super::{Api, Link};
use crate::error::CliError;

/// Folder of the management processes' sockets.
const MANAGEMENT_DIRECTORY: &str = "/run/gridway/mgmt";

/// Options of every command that reaches a node.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which node")]
pub(crate) struct Target {
    /// Control socket of the node [default: the only one in /run/gridway]
    #[arg(long, value_name = "PATH", conflicts_with = "api")]
    socket: Option<PathBuf>,
    /// Management API of the node, in place of its socket [env: GRIDWAY_API]
    #[arg(long, value_name = "HOST:PORT")]
    api: Option<String>,
    /// Authority of nodes, which signed the API's certificate [env: GRIDWAY_API_CA]
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    ca: Option<PathBuf>,
    /// Your certificate as an operator [env: GRIDWAY_API_CERT]
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    cert: Option<PathBuf>,
    /// Its private key [env: GRIDWAY_API_KEY]
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    key: Option<PathBuf>,
    /// Name in the API's certificate, such as gw-a.lab.example [default: HOST] [env: GRIDWAY_API_NAME]
    #[arg(long, value_name = "NAME", conflicts_with = "socket")]
    api_name: Option<String>,
}

impl Target {
    /// Reaches the node: over the API where one is named, else over its socket.
    pub(crate) fn connect(&self) -> Result<Link, CliError> {
        if let Some(api) = self.api()? {
            return Ok(api);
        }
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => only_socket(Path::new(Control::DEFAULT_DIRECTORY))?,
        };
        Ok(Link::Socket(Client::connect(&socket).map_err(super::LinkError::from)?))
    }

    /// Reaches the management process, which keeps the versions of the configuration.
    pub(crate) fn connect_management(&self, socket: Option<&Path>) -> Result<Link, CliError> {
        // A socket that is named outright goes before the environment here, too.
        let socket = match socket {
            Some(socket) => socket.to_owned(),
            None => match self.api()? {
                Some(api) => return Ok(api),
                None => only_socket(Path::new(MANAGEMENT_DIRECTORY)).map_err(CliError::in_management)?,
            },
        };
        Client::connect(&socket).map(Link::Socket).map_err(|source| CliError::NoManagement { source })
    }

    /// The options that name the node, for a command that is to be typed next; the environment's are not said.
    pub(crate) fn as_options(&self) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let options = [
            ("--socket", path(&self.socket)),
            ("--api", self.api.clone()),
            ("--ca", path(&self.ca)),
            ("--cert", path(&self.cert)),
            ("--key", path(&self.key)),
            ("--api-name", self.api_name.clone()),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value?)));
        given.collect()
    }

    /// A socket that is named outright goes before the environment.
    fn api(&self) -> Result<Option<Link>, CliError> {
        if self.socket.is_some() {
            return Ok(None);
        }
        let text =
            |option: &Option<String>, variable: &str| option.clone().or_else(|| env::var(variable).ok());
        let Some(address) = text(&self.api, "GRIDWAY_API") else {
            let stray = [&self.ca, &self.cert, &self.key].into_iter().any(Option::is_some);
            return if stray || self.api_name.is_some() { Err(CliError::NoApi) } else { Ok(None) };
        };
        let file = |option: &Option<PathBuf>, name: &'static str, variable: &'static str| {
            let given = option.clone().or_else(|| env::var_os(variable).map(|path: OsString| path.into()));
            given.ok_or(CliError::MissingApiFile { name, variable })
        };
        let credentials = Credentials {
            ca: file(&self.ca, "--ca", "GRIDWAY_API_CA")?,
            certificate: file(&self.cert, "--cert", "GRIDWAY_API_CERT")?,
            private_key: file(&self.key, "--key", "GRIDWAY_API_KEY")?,
        };
        let name = text(&self.api_name, "GRIDWAY_API_NAME");
        let api = Api::new(&address, &credentials, name.as_deref()).map_err(super::LinkError::from)?;
        Ok(Some(Link::Api(Box::new(api))))
    }
}

/// The only socket in a folder.
fn only_socket(folder: &Path) -> Result<PathBuf, CliError> {
    // A folder that is missing or closed to this user holds no socket to choose.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_socket = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_socket());
    let mut sockets: Vec<PathBuf> = entries.filter(is_socket).map(|entry| entry.path()).collect();
    sockets.sort_unstable();
    match sockets.len() {
        0 => Err(CliError::NoSocket { folder: folder.to_owned() }),
        1 => Ok(sockets.remove(0)),
        _ => {
            let names: Vec<String> = sockets.iter().map(|path| path.display().to_string()).collect();
            Err(CliError::SeveralSockets { sockets: names.join(", ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn takes_the_only_socket_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let missing = only_socket(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.exit_status(), 2);
        fs::write(folder.path().join("file.sock"), "").unwrap();
        assert!(matches!(only_socket(folder.path()), Err(CliError::NoSocket { .. })));
        let first = folder.path().join("a.sock");
        let _listener = UnixListener::bind(&first).unwrap();
        assert_eq!(only_socket(folder.path()).unwrap(), first);
        let _other = UnixListener::bind(folder.path().join("b.sock")).unwrap();
        let several = only_socket(folder.path()).unwrap_err();
        assert_eq!(several.exit_status(), 2);
        assert!(
            several.to_string().contains("a.sock") && several.to_string().contains("b.sock"),
            "{several}"
        );
    }
}
