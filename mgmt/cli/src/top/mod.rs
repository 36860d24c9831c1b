//! `gridway top`: the node on one screen.

mod limits;
mod model;
mod overview;
mod poll;
mod tables;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::link::Target;
use model::Screen;
use poll::Update;

/// How long a key may wait for its effect.
const TICK: Duration = Duration::from_millis(100);

/// What `gridway top --help` ends with.
pub(crate) const KEYS: &str = "Keys:\n  \
    1-5, Tab, arrows left and right  pages: overview, tunnels, drops, limits, events\n  \
    s  sort tunnels by name, throughput or round trip\n  \
    p or space  pause\n  \
    arrows up and down  scroll\n  \
    q  quit\n\n\
    Examples:\n  gridway top\n  gridway top --api gw-b.lab.example:8444";

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    target: Target,
}

/// A node that cannot be reached at first is an error; one that goes away is waited for.
pub(crate) fn run(args: &TopArgs) -> Result<(), CliError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let other = "top needs a terminal; gridway status --watch does without".to_owned();
        return Err(CliError::Usage(other));
    }
    let interrupt = Interrupt::install()?;
    let updates = poll::begin(args.target.clone())?;
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &updates, &interrupt);
    ratatui::try_restore()?;
    shown
}

fn show(
    terminal: &mut DefaultTerminal,
    updates: &Receiver<Update>,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let mut screen = Screen::default();
    while !interrupt.asked() {
        for update in updates.try_iter() {
            screen.update(update);
        }
        terminal.draw(|frame| view::draw(frame, &screen, Instant::now()))?;
        // A resize is drawn like anything else.
        if event::poll(TICK)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && screen.press(key) == ControlFlow::Break(())
        {
            break;
        }
    }
    Ok(())
}
