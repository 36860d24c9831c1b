//! How full tables are, and how busy workers.

use gridway_control::{LimitRow, WorkerStatus};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::model::Screen;
use super::view::{bar, fullness};
use crate::show::status::{percent_full, permille};
use crate::show::unit::magnitude;

/// Columns of a bar on the page of its own, and beside other things.
const WIDE: usize = 40;
const NARROW: usize = 16;

pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let Some(now) = &screen.now else { return };
    let mut lines = vec![Line::from("TABLES").bold()];
    lines.extend(now.limits.iter().map(|row| table(row, WIDE)));
    lines.push(Line::default());
    lines.push(Line::from("WORKERS").bold());
    lines.extend(now.status.workers.iter().map(|row| worker(row, WIDE)));
    let scroll = u16::try_from(screen.scroll).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), area);
}

/// The fullest tables and the workers, in little room.
pub(super) fn summary(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let Some(now) = &screen.now else { return };
    let room = usize::from(area.height).saturating_sub(1);
    let workers = now.status.workers.len().min(room / 2);
    let mut fullest: Vec<&LimitRow> = now.limits.iter().collect();
    fullest.sort_by_key(|row| std::cmp::Reverse(percent_full(row)));
    let mut lines = vec![Line::from("FULLEST TABLES, WORKERS").bold()];
    lines.extend(fullest.iter().take(room - workers).map(|row| table(row, NARROW)));
    lines.extend(now.status.workers.iter().take(workers).map(|row| worker(row, NARROW)));
    frame.render_widget(Paragraph::new(lines), area);
}

fn table(row: &LimitRow, width: usize) -> Line<'_> {
    let percent = percent_full(row);
    let refused =
        if row.refused > 0 { format!("  refused {}", magnitude(row.refused)) } else { String::new() };
    Line::from(vec![
        Span::from(format!("{:<13.13}", row.name)),
        Span::styled(bar(percent, width), fullness(percent)),
        Span::styled(format!(" {percent:>3}%"), fullness(percent)),
        Span::from(format!(" {}/{}", magnitude(row.used), magnitude(row.limit))),
        Span::from(refused).red(),
    ])
}

/// A worker that polls busily is always awake, so its load is no warning.
fn worker(row: &WorkerStatus, width: usize) -> Line<'_> {
    let percent = u64::from(row.load_permille / 10);
    Line::from(vec![
        Span::from(format!("{:<13.13}", format!("CPU {}", row.cpu))),
        Span::styled(bar(percent, width), Style::new().cyan()),
        Span::from(format!(" awake {}  {}", permille(row.load_permille), row.roles.join(", "))),
    ])
}
