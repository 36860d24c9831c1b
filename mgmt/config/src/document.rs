//! A parsed TOML document with the place of every value, and the list that errors are collected in.

use std::cell::RefCell;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, ConfigErrors, Problem};
use crate::leaf::{Leaf, describe, read_integer};

/// Where something stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Dotted path, such as `vnet[0].route[2].via`.
    pub(crate) field: String,
    /// Line, from 1.
    pub(crate) line: usize,
}

/// Errors found so far, and what is needed to name their places.
pub(crate) struct Report<'t> {
    file: &'t Path,
    line_ends: Vec<usize>,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(text: &str, file: &'t Path) -> Self {
        let line_ends =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { file, line_ends, errors: RefCell::default() }
    }

    /// Line, from 1, of a byte offset.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    pub(crate) fn refuse(&self, place: &Place, problem: Problem) {
        self.errors.borrow_mut().push(ConfigError {
            file: self.file.to_owned(),
            line: Some(place.line),
            field: place.field.clone(),
            problem,
        });
    }

    pub(crate) fn into_errors(self) -> Option<ConfigErrors> {
        ConfigErrors::new(self.errors.into_inner())
    }
}

/// A table of the document. Every key that a reader asks for is known; [`Section::finish`] refuses the rest.
pub(crate) struct Section<'d> {
    report: &'d Report<'d>,
    table: &'d DeTable<'d>,
    path: String,
    offset: usize,
    known: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    pub(crate) fn root(report: &'d Report<'d>, document: &'d Spanned<DeTable<'d>>) -> Self {
        Self { report, table: document.get_ref(), path: String::new(), offset: 0, known: RefCell::default() }
    }

    /// The place of this table's header.
    pub(crate) fn place(&self) -> Place {
        Place { field: self.path.clone(), line: self.report.line(self.offset) }
    }

    /// The place of a key's value; of the header where the key is absent.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        let offset = self.find(key).map_or(self.offset, |value| value.span().start);
        Place { field: self.path_of(key), line: self.report.line(offset) }
    }

    /// Records an error about the table as a whole.
    pub(crate) fn refuse(&self, problem: Problem) {
        self.report.refuse(&self.place(), problem);
    }

    /// Records an error about one key.
    pub(crate) fn refuse_key(&self, key: &str, problem: Problem) {
        self.report.refuse(&self.place_of(key), problem);
    }

    /// Records an error at a place found earlier.
    pub(crate) fn refuse_at(&self, place: &Place, problem: Problem) {
        self.report.refuse(place, problem);
    }

    /// The value of `key`, if it is there.
    pub(crate) fn value(&self, key: &'static str) -> Option<Value<'d>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        let value = self.find(key)?;
        Some(Value {
            report: self.report,
            value: value.get_ref(),
            path: self.path_of(key),
            offset: value.span().start,
        })
    }

    /// A value that must be there. `None`: missing or wrong, and reported.
    pub(crate) fn required<T: Leaf>(&self, key: &'static str) -> Option<T> {
        match self.value(key) {
            Some(value) => value.read(),
            None => {
                self.refuse_key(key, Problem::Missing { expected: T::EXPECTED.to_owned() });
                None
            }
        }
    }

    /// A value that may be absent. `None`: absent, or wrong and reported.
    pub(crate) fn optional<T: Leaf>(&self, key: &'static str) -> Option<T> {
        self.value(key)?.read()
    }

    /// An integer within `range`. `None`: absent, or wrong and reported.
    pub(crate) fn integer(&self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.value(key)?;
        let number = read_integer(value.value)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let expected = format!("an integer from {least} to {most}");
            value.refuse(Problem::Invalid { found: describe(value.value), expected });
        }
        number
    }

    /// Whether `key` is absent or holds a good `T`. Reports nothing.
    pub(crate) fn readable<T: Leaf>(&self, key: &str) -> bool {
        self.find(key).is_none_or(|value| T::read(value.get_ref()).is_ok())
    }

    /// A list whose good elements are returned with their places; the bad ones are reported.
    pub(crate) fn list<T: Leaf>(&self, key: &'static str) -> Option<Vec<(Place, T)>> {
        Some(self.value(key)?.list())
    }

    /// A table that may be absent.
    pub(crate) fn table(&self, key: &'static str) -> Option<Section<'d>> {
        self.value(key)?.table()
    }

    /// A table that must be there.
    pub(crate) fn required_table(&self, key: &'static str) -> Option<Section<'d>> {
        let value = self.value(key);
        if value.is_none() {
            self.refuse_key(key, Problem::Missing { expected: format!("a table [{}]", self.path_of(key)) });
        }
        value?.table()
    }

    /// The tables of an array of tables; none where it is absent.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Section<'d>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        match value.value.as_array() {
            Some(_) => value.elements().iter().filter_map(Value::table).collect(),
            None => {
                let expected = format!("tables headed [[{}]]", self.path_of(key));
                value.refuse(Problem::Invalid { found: describe(value.value), expected });
                Vec::new()
            }
        }
    }

    /// Refuses every key that nobody asked for.
    pub(crate) fn finish(&self) {
        let known = self.known.borrow();
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let field = self.path_of(key.get_ref());
            let place = Place { field, line: self.report.line(key.span().start) };
            self.report.refuse(&place, Problem::UnknownKey { known: known.join(", ") });
        }
    }

    /// Whether the table `table` has `key`.
    pub(crate) fn has(&self, table: &'static str, key: &'static str) -> bool {
        self.value(table)
            .and_then(|value| value.peek_table())
            .is_some_and(|section| section.find(key).is_some())
    }

    fn find(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A value of the document.
pub(crate) struct Value<'d> {
    report: &'d Report<'d>,
    value: &'d DeValue<'d>,
    path: String,
    offset: usize,
}

impl<'d> Value<'d> {
    pub(crate) fn place(&self) -> Place {
        Place { field: self.path.clone(), line: self.report.line(self.offset) }
    }

    pub(crate) fn refuse(&self, problem: Problem) {
        self.report.refuse(&self.place(), problem);
    }

    pub(crate) fn read<T: Leaf>(&self) -> Option<T> {
        T::read(self.value).map_err(|problem| self.refuse(problem)).ok()
    }

    /// One value, or a list of them.
    pub(crate) fn one_or_list<T: Leaf>(&self) -> Vec<(Place, T)> {
        match self.value {
            DeValue::Array(_) => self.list(),
            _ => self.read().map(|value| (self.place(), value)).into_iter().collect(),
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Elements of a list; 0 for anything else.
    pub(crate) fn len(&self) -> usize {
        self.value.as_array().map_or(0, |array| array.len())
    }

    pub(crate) fn list<T: Leaf>(&self) -> Vec<(Place, T)> {
        if !self.is_list() {
            let expected = format!("a list of {}", T::EXPECTED);
            self.refuse(Problem::Invalid { found: describe(self.value), expected });
            return Vec::new();
        }
        self.elements().iter().filter_map(|element| Some((element.place(), element.read()?))).collect()
    }

    fn elements(&self) -> Vec<Value<'d>> {
        let Some(array) = self.value.as_array() else {
            return Vec::new();
        };
        let element = |(index, value): (usize, &'d Spanned<DeValue<'d>>)| Value {
            report: self.report,
            value: value.get_ref(),
            path: format!("{}[{index}]", self.path),
            offset: value.span().start,
        };
        array.iter().enumerate().map(element).collect()
    }

    /// The value as a table; anything else is reported.
    pub(crate) fn table(&self) -> Option<Section<'d>> {
        let section = self.peek_table();
        if section.is_none() {
            self.refuse(Problem::Invalid { found: describe(self.value), expected: "a table".to_owned() });
        }
        section
    }

    /// The value as a table, or nothing.
    pub(crate) fn peek_table(&self) -> Option<Section<'d>> {
        let table = self.value.as_table()?;
        let (report, path, offset) = (self.report, self.path.clone(), self.offset);
        Some(Section { report, table, path, offset, known: RefCell::default() })
    }
}
