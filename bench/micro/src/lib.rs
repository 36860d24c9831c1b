//! Single functions, timed by criterion or counted from outside. A program under `benches/` declares its
//! functions in `main`; its arguments say what becomes of them:
//!
//! ```text
//! PROGRAM --bench [FILTER]                criterion times them; its own --help has more
//! PROGRAM --functions                     names them, one a line, and whether they can be counted
//! PROGRAM --count FUNCTION OPERATIONS     runs one of them so many times, for valgrind
//! ```
//!
//! Instructions of an operation are the difference of two counted runs with other numbers of operations: what
//! sets the function up is the same in both. Criterion writes what it measured of a function to
//! `FUNCTION/new/sample.json` below `CRITERION_HOME`.

mod turns;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;

pub use turns::Turns;

/// The functions of a program, as its arguments ask for them.
pub struct Functions(Task);

enum Task {
    Time(Box<Criterion>),
    Name,
    Count { function: String, operations: u64, found: bool },
    Refuse,
}

impl Functions {
    /// What the arguments of this program ask for.
    #[must_use]
    pub fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Self(Task::asked_by(&arguments).unwrap_or_else(|| {
            // Nothing is drawn: the features that draw are off.
            Task::Time(Box::new(Criterion::default().without_plots().configure_from_args()))
        }))
    }

    /// The function `what` among, or of, `size` things. `set_up` makes what `operation` is given; what that gives
    /// back counts as used.
    pub fn add<S, R>(
        &mut self,
        what: &str,
        size: usize,
        set_up: impl FnOnce() -> S,
        mut operation: impl FnMut(&mut S) -> R,
    ) {
        match &mut self.0 {
            Task::Time(criterion) => time(criterion, what, size, set_up, |bencher, state| {
                bencher.iter(|| operation(state));
            }),
            Task::Name => println!("{what}/{size} counted"),
            Task::Count { function, operations, found } => {
                if *function == format!("{what}/{size}") {
                    *found = true;
                    let mut state = set_up();
                    for _ in 0..*operations {
                        black_box(operation(&mut state));
                    }
                }
            }
            Task::Refuse => {}
        }
    }

    /// The same of a function that cannot be counted and times itself: `operations` gives the time that so many took.
    pub fn add_timed<S>(
        &mut self,
        what: &str,
        size: usize,
        set_up: impl FnOnce() -> S,
        mut operations: impl FnMut(&mut S, u64) -> Duration,
    ) {
        match &mut self.0 {
            Task::Time(criterion) => time(criterion, what, size, set_up, |bencher, state| {
                bencher.iter_custom(|count| operations(state, count));
            }),
            Task::Name => println!("{what}/{size} timed"),
            Task::Count { .. } | Task::Refuse => {}
        }
    }

    /// Ends what the arguments asked for.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        match self.0 {
            Task::Time(criterion) => criterion.final_summary(),
            Task::Name | Task::Count { found: true, .. } => {}
            Task::Count { function, found: false, .. } => {
                eprintln!("no function {function:?} can be counted; --functions names them");
                return ExitCode::from(2);
            }
            Task::Refuse => {
                eprintln!("usage: --functions | --count FUNCTION OPERATIONS | --bench [FILTER]");
                return ExitCode::from(2);
            }
        }
        ExitCode::SUCCESS
    }
}

impl Task {
    /// `None`: it is for criterion.
    fn asked_by(arguments: &[String]) -> Option<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["--functions"] => Some(Self::Name),
            ["--count", function, operations] => Some(match operations.parse() {
                Ok(operations) => Self::Count { function: function.to_owned(), operations, found: false },
                Err(_) => Self::Refuse,
            }),
            ["--functions" | "--count", ..] => Some(Self::Refuse),
            _ => None,
        }
    }
}

/// Sets up only what criterion's filter lets through, and once: criterion asks for each sample anew.
fn time<S>(
    criterion: &mut Criterion,
    what: &str,
    size: usize,
    set_up: impl FnOnce() -> S,
    mut sample: impl FnMut(&mut criterion::Bencher<'_>, &mut S),
) {
    let mut set_up = Some(set_up);
    let mut state = None;
    let mut group = criterion.benchmark_group(what);
    group.bench_function(size.to_string(), |bencher| {
        let state = state.get_or_insert_with(|| set_up.take().expect("it is called once")());
        sample(bencher, state);
    });
    group.finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Option<Functions> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Task::asked_by(&arguments).map(Functions)
    }

    #[test]
    fn a_counted_function_runs_so_many_times_and_no_other_is_set_up() {
        let mut functions = asked(&["--count", "look-up, of routes/1000", "70"]).unwrap();
        let mut runs = 0;
        functions.add("look-up, of routes", 1000, || (), |()| runs += 1);
        functions.add("look-up, of routes", 10, || panic!("nobody asked"), |()| ());
        functions.add_timed("seal", 1000, || panic!("nobody asked"), |(), _| Duration::ZERO);
        assert_eq!(functions.finish(), ExitCode::SUCCESS);
        assert_eq!(runs, 70);
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        for arguments in [&["--count", "seal/5", "70"][..], &["--count", "seal/5", "many"], &["--count"]] {
            let mut functions = asked(arguments).unwrap();
            functions.add_timed("seal", 5, || panic!("nobody asked"), |(), _| Duration::ZERO);
            assert_eq!(functions.finish(), ExitCode::from(2), "{arguments:?}");
        }
    }

    #[test]
    fn everything_else_is_criterions() {
        assert!(asked(&[]).is_none() && asked(&["--bench", "seal"]).is_none());
    }
}
