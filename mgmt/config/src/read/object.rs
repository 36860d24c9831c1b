//! `[[object]]`: named prefixes, and names of other objects, resolved into prefixes.

use std::cell::Cell;
use std::collections::BTreeMap;

use ipnet::IpNet;
use toml::de::DeValue;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::{Leaf, describe, read_prefix};
use crate::model::Object;
use crate::name::ObjectName;
use crate::prefixes::names;
use crate::read::unique::Unique;

/// Bounds on what a small file can blow up to.
const MAX_OBJECTS: usize = 1024;
const MAX_PREFIXES: usize = 4096;
const MAX_PREFIXES_IN_USE: usize = 1 << 20;

/// A prefix, or the name of an object.
pub(crate) enum PrefixOrObject {
    Prefix(IpNet),
    Object(ObjectName),
}

impl PrefixOrObject {
    const TEXT: &'static str = "a prefix such as 10.1.0.0/24, or the name of an object";

    pub(crate) fn from_text(text: &str) -> Result<Self, Problem> {
        match ObjectName::new(text) {
            Ok(name) => Ok(Self::Object(name)),
            Err(_) => read_prefix(text, Self::TEXT).map(Self::Prefix),
        }
    }
}

impl Leaf for PrefixOrObject {
    const EXPECTED: &'static str = Self::TEXT;

    fn read(value: &DeValue<'_>) -> Result<Self, Problem> {
        let invalid = || Problem::Invalid { found: describe(value), expected: Self::TEXT.to_owned() };
        value.as_str().ok_or_else(invalid).and_then(Self::from_text)
    }
}

/// The objects of a file by name.
pub(crate) struct Objects {
    resolved: BTreeMap<ObjectName, Vec<IpNet>>,
    order: Vec<ObjectName>,
    used: Cell<usize>,
}

impl Objects {
    /// The prefixes of an object, for one more rule or NAT entry.
    pub(crate) fn resolve(&self, name: &ObjectName) -> Result<Vec<IpNet>, Problem> {
        let Some(prefixes) = self.resolved.get(name) else {
            let known = names(self.resolved.keys());
            return Err(Problem::UnknownName { found: name.to_string(), kind: "an object", known });
        };
        self.used.set(self.used.get() + prefixes.len());
        if self.used.get() > MAX_PREFIXES_IN_USE {
            let expected =
                format!("at most {MAX_PREFIXES_IN_USE} prefixes in the objects of all rules and NAT entries");
            return Err(Problem::Invalid { found: format!("object \"{name}\""), expected });
        }
        Ok(prefixes.clone())
    }

    pub(crate) fn into_objects(mut self) -> Vec<Object> {
        let object = |name: ObjectName| Some(Object { prefixes: self.resolved.remove(&name)?, name });
        self.order.into_iter().filter_map(object).collect()
    }
}

struct Entry {
    place: Place,
    prefixes: Vec<IpNet>,
    members: Vec<ObjectName>,
}

pub(crate) fn objects(root: &Section<'_>) -> Objects {
    let mut unique = Unique::new();
    let mut entries: BTreeMap<ObjectName, Entry> = BTreeMap::new();
    let mut order = Vec::new();
    let mut references = Vec::new();
    let sections = root.tables("object");
    if let Some(extra) = sections.get(MAX_OBJECTS) {
        let found = format!("{} objects", sections.len());
        extra.refuse(Problem::Invalid { found, expected: format!("at most {MAX_OBJECTS}") });
    }
    for section in sections.iter().take(MAX_OBJECTS) {
        let name: Option<ObjectName> = section.required("name");
        let value = section.value("prefixes");
        section.finish();
        match &value {
            None => {
                let expected = "a list of prefixes and names of objects".to_owned();
                section.refuse_key("prefixes", Problem::Missing { expected });
            }
            Some(value) if value.is_list() && value.len() == 0 => {
                let expected = "at least one prefix".to_owned();
                value.refuse(Problem::Invalid { found: "an empty list".to_owned(), expected });
            }
            Some(_) => {}
        }
        let mut entry =
            Entry { place: section.place_of("prefixes"), prefixes: Vec::new(), members: Vec::new() };
        for (place, element) in value.map(|value| value.list()).unwrap_or_default() {
            match element {
                PrefixOrObject::Prefix(prefix) => entry.prefixes.push(prefix),
                PrefixOrObject::Object(member) => {
                    entry.members.push(member.clone());
                    references.push((place, member));
                }
            }
        }
        let Some(name) = name else { continue };
        unique.check(section, "name", name.clone());
        order.push(name.clone());
        entries.entry(name).or_insert(entry);
    }
    for (place, member) in references {
        if !entries.contains_key(&member) {
            let known = names(entries.keys());
            root.refuse_at(
                &place,
                Problem::UnknownName { found: member.to_string(), kind: "an object", known },
            );
        }
    }
    Objects { resolved: resolve(root, entries), order, used: Cell::new(0) }
}

/// Resolves objects in the order of their depth; what is left over when no more can be resolved
/// holds a cycle. Works in rounds and not by recursion, so that a long chain costs no stack.
fn resolve(root: &Section<'_>, entries: BTreeMap<ObjectName, Entry>) -> BTreeMap<ObjectName, Vec<IpNet>> {
    let mut resolved: BTreeMap<ObjectName, Vec<IpNet>> = BTreeMap::new();
    let mut waiting: BTreeMap<&ObjectName, Vec<&ObjectName>> = BTreeMap::new();
    let mut open: BTreeMap<&ObjectName, usize> = BTreeMap::new();
    let mut ready: Vec<&ObjectName> = Vec::new();
    for (name, entry) in &entries {
        let known: Vec<_> = entry.members.iter().filter(|member| entries.contains_key(*member)).collect();
        known.iter().for_each(|member| waiting.entry(member).or_default().push(name));
        if known.is_empty() {
            ready.push(name);
        } else {
            open.insert(name, known.len());
        }
    }
    while let Some(name) = ready.pop() {
        let entry = &entries[name];
        let mut prefixes = entry.prefixes.clone();
        for member in &entry.members {
            prefixes.extend(resolved.get(member).into_iter().flatten());
            prefixes.sort_unstable();
            prefixes.dedup();
            prefixes.truncate(MAX_PREFIXES + 1);
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        if prefixes.len() > MAX_PREFIXES {
            let found = format!("more than {MAX_PREFIXES} prefixes in \"{name}\"");
            root.refuse_at(
                &entry.place,
                Problem::Invalid { found, expected: format!("at most {MAX_PREFIXES}") },
            );
        }
        resolved.insert(name.clone(), prefixes);
        for user in waiting.remove(name).unwrap_or_default() {
            let left = open.get_mut(user).expect("an object that waits has open members");
            *left -= 1;
            if *left == 0 {
                open.remove(user);
                ready.push(user);
            }
        }
    }
    report_cycles(root, &entries, open.into_keys().collect());
    // Rules that name an object of a cycle are not reported again.
    for name in entries.into_keys() {
        resolved.entry(name).or_default();
    }
    resolved
}

/// Every object left over leads into a cycle; each cycle is reported once, where it is closed.
fn report_cycles(root: &Section<'_>, entries: &BTreeMap<ObjectName, Entry>, mut left: Vec<&ObjectName>) {
    let stuck: std::collections::BTreeSet<&ObjectName> = left.iter().copied().collect();
    let mut walked: BTreeMap<&ObjectName, usize> = BTreeMap::new();
    left.reverse();
    for (walk, start) in left.into_iter().enumerate() {
        let mut path = Vec::new();
        let mut name = start;
        while !walked.contains_key(name) {
            walked.insert(name, walk);
            path.push(name);
            let next = entries[name].members.iter().find(|member| stuck.contains(member));
            name = next.expect("an object left over holds another one left over");
        }
        if walked[name] == walk {
            let first =
                path.iter().position(|step| *step == name).expect("the walk came back to its own step");
            let steps = path[first..].iter().chain([&name]).map(ToString::to_string);
            let cycle = steps.collect::<Vec<_>>().join(" -> ");
            root.refuse_at(&entries[name].place, Problem::Cycle { cycle });
        }
    }
}
