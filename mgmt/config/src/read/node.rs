//! `[node]`, `[identity]`, `[data]`, `[management]` and `[workers]`.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::document::Section;
use crate::error::Problem;
use crate::leaf::{Leaf, read_integer};
use crate::model::{Cpus, Data, Identity, Management, Node, Workers};

pub(crate) fn node(root: &Section<'_>) -> Option<Node> {
    let section = root.required_table("node")?;
    let (name, domain, role) =
        (section.required("name"), section.required("domain"), section.required("role"));
    section.finish();
    Some(Node { name: name?, domain: domain?, role: role? })
}

pub(crate) fn identity(root: &Section<'_>, base: &Path) -> Option<Identity> {
    let section = root.required_table("identity")?;
    let path = |key| section.required::<PathBuf>(key).map(|path| base.join(path));
    let (ca, certificate, private_key) = (path("ca"), path("certificate"), path("private_key"));
    let crl = section.optional::<PathBuf>("crl").map(|path| base.join(path));
    section.finish();
    Some(Identity { ca: ca?, certificate: certificate?, private_key: private_key?, crl })
}

/// Outer `None`: no such table. Inner `None`: it is wrong, and was reported.
pub(crate) fn data(root: &Section<'_>) -> Option<Option<Data>> {
    let value = root.value("data")?;
    let Some(section) = value.table() else {
        return Some(None);
    };
    let interface = section.required("interface");
    let attach = section.optional("attach").unwrap_or_default();
    let rings = section.optional("rings").unwrap_or_default();
    let deny = section.list("deny").unwrap_or_default().into_iter().map(|(_, prefix)| prefix).collect();
    section.finish();
    Some(interface.map(|interface| Data { interface, attach, rings, deny }))
}

pub(crate) fn management(root: &Section<'_>) -> Option<Management> {
    let section = root.required_table("management")?;
    let interface = section.required("interface");
    section.finish();
    Some(Management { interface: interface? })
}

pub(crate) fn workers(root: &Section<'_>) -> Workers {
    let Some(section) = root.table("workers") else {
        return Workers::default();
    };
    let cpus = cpus(&section);
    let roles = section.optional("roles").unwrap_or_default();
    let polling = section.optional("polling").unwrap_or_default();
    section.finish();
    Workers { cpus, roles, polling }
}

fn cpus(section: &Section<'_>) -> Cpus {
    let Some(value) = section.value("cpus") else {
        return Cpus::Auto;
    };
    if !value.is_list() {
        return value.read().map_or(Cpus::Auto, |Auto| Cpus::Auto);
    }
    let length = value.len();
    let list: Vec<usize> = value.list::<Cpu>().into_iter().map(|(_, Cpu(cpu))| cpu).collect();
    if length == 0 || length > Cpus::LIMIT {
        let expected = format!("\"auto\" or a list of 1 to {} CPU numbers", Cpus::LIMIT);
        value.refuse(Problem::Invalid { found: format!("a list of {length}"), expected });
    }
    Cpus::List(list)
}

struct Auto;

impl Leaf for Auto {
    const EXPECTED: &'static str = "\"auto\" or a list of CPU numbers";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        value.as_str().filter(|text| *text == "auto").map(|_| Self).ok_or_else(|| Self::invalid(value))
    }
}

struct Cpu(usize);

impl Leaf for Cpu {
    const EXPECTED: &'static str = "a CPU number from 0 to 1023";

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        read_integer(value)
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| *number < Cpus::LIMIT)
            .map(Self)
            .ok_or_else(|| Self::invalid(value))
    }
}
