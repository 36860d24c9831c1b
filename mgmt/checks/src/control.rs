//! The control socket, and the node behind it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gridway_config::Config;
use gridway_control::{Client, ClientError, Reply, Request};

use crate::finding::Finding;
use crate::system::System;

/// Group that may talk to nodes.
const GROUP: &str = "gridway";
/// How a finding about a node that answers begins.
pub(crate) const RUNS: &str = "runs";

/// The group, and the folder of the socket.
pub(crate) fn directory(system: &System, config: &Config) -> Vec<Finding> {
    let socket = &config.control.socket;
    let group = group_id(&system.text("/etc/group").unwrap_or_default());
    let mut findings = vec![match group {
        Some(_) => Finding::ok("control.group", GROUP, "members may ask nodes"),
        None => Finding::warning(
            "control.group",
            GROUP,
            "there is no such group: only root may ask nodes",
            format!("groupadd --system {GROUP}; the package makes it"),
        ),
    }];
    findings.extend(socket.parent().map(|folder| permissions(folder, group)));
    findings
}

fn group_id(groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == GROUP).then(|| fields.nth(1)?.parse().ok())?
    })
}

fn permissions(folder: &Path, group: Option<u32>) -> Finding {
    const ID: &str = "control.directory";
    let subject = folder.display();
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::ok(ID, subject, "not there yet; a node makes it")
        }
        Err(error) => {
            Finding::warning(ID, subject, error, format!("look as root: ls -ld {}", folder.display()))
        }
        Ok(metadata) if metadata.mode() & 0o002 != 0 => Finding::problem(
            ID,
            subject,
            "anybody may put a socket there in the node's place",
            format!("chmod 750 {}", folder.display()),
        ),
        Ok(metadata) if group.is_some_and(|group| group != metadata.gid()) => Finding::warning(
            ID,
            subject,
            format!("does not belong to the group {GROUP}: its members cannot ask the node"),
            format!("chgrp {GROUP} {0} && chmod 750 {0}", folder.display()),
        ),
        Ok(metadata) => Finding::ok(ID, subject, format!("mode {:04o}", metadata.mode() & 0o7777)),
    }
}

/// Whether the node runs and answers.
pub(crate) fn running(config: &Config) -> Finding {
    const ID: &str = "node.running";
    let socket = &config.control.socket;
    let subject = socket.display();
    let start = format!("systemctl start gridway@{}", config.node.name);
    if !socket.exists() {
        return Finding::ok(ID, subject, format!("does not run ({start})"));
    }
    match Client::connect(socket).and_then(|mut client| client.ask(&Request::Status)) {
        Ok(Reply::Status(status)) if status.node == config.node.name.as_str() => {
            let (up, peers) = (status.peers_up, status.peers);
            let found = format!("{RUNS} since {} s, {up} of {peers} peers are up", status.uptime_s);
            match status.last_reload_error {
                None => Finding::ok(ID, subject, found),
                Some(error) => {
                    let found = format!("{found}; its last reload was refused: {error}");
                    Finding::warning(ID, subject, found, "mend the file, then `systemctl reload`")
                }
            }
        }
        Ok(Reply::Status(status)) => Finding::problem(
            ID,
            subject,
            format!("another node, {}, answers here", status.node),
            "give each node of this machine a control.socket of its own",
        ),
        Ok(_) => {
            Finding::problem(ID, subject, "the answer is not that of a node", "see who listens: ss -lxp")
        }
        Err(error) if is_dead(&error) => Finding::warning(
            ID,
            subject,
            "the node has ended without removing its socket, which the next start does",
            start,
        ),
        Err(error) => Finding::problem(
            ID,
            subject,
            format!("the node does not answer: {error}"),
            format!("as root or a member of the group {GROUP}: journalctl -u gridway@{}", config.node.name),
        ),
    }
}

fn is_dead(error: &ClientError) -> bool {
    matches!(error, ClientError::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_group_is_found_by_its_name() {
        assert_eq!(group_id("root:x:0:\ngridway:x:990:alice\n"), Some(990));
        assert_eq!(group_id("gridway-mgmt:x:991:\n"), None);
    }

    #[test]
    fn a_folder_that_anybody_may_write_to_is_a_problem_and_one_of_another_group_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let chmod =
            |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        chmod(0o750);
        let gid = std::fs::metadata(folder.path()).unwrap().gid();
        assert_eq!(permissions(folder.path(), Some(gid)).status, Status::Ok);
        assert_eq!(permissions(folder.path(), Some(gid + 1)).status, Status::Warning);
        assert_eq!(permissions(&folder.path().join("none"), None).status, Status::Ok);
        chmod(0o777);
        assert_eq!(permissions(folder.path(), Some(gid)).status, Status::Problem);
    }
}
