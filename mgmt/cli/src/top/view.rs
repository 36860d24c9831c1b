//! The frame around every page.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::model::{Page, Screen};
use super::{limits, overview, tables};
use crate::show::unit::span;

/// How full a table may be before it is shown in yellow, and in red.
const WARNING: u64 = 80;
const ALARM: u64 = 95;

pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, now: Instant) {
    let notice = notice(screen, now);
    let rows = [1, 1, u16::from(notice.is_some())].map(Constraint::Length);
    let [head, tabs, notices, body, keys] =
        Layout::vertical([rows[0], rows[1], rows[2], Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(screen)), head);
    frame.render_widget(Paragraph::new(pages(screen)), tabs);
    if let Some(notice) = notice {
        frame.render_widget(Paragraph::new(notice), notices);
    }
    page(frame, screen, body);
    let help = "q quit  p pause  s sort  1-5 pages  arrows scroll";
    frame.render_widget(Paragraph::new(help).dim(), keys);
}

fn page(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    match screen.page {
        Page::Overview => overview::draw(frame, screen, area),
        Page::Tunnels => tables::connections(frame, screen, area),
        Page::Drops => tables::drops(frame, screen, area),
        Page::Limits => limits::draw(frame, screen, area),
        Page::Events => tables::events(frame, screen, area),
    }
}

fn heading(screen: &Screen) -> Line<'_> {
    let Some(now) = &screen.now else { return Line::from("waiting for the node") };
    let status = &now.status;
    let node = format!("{}.{}", status.node, status.domain);
    Line::from(vec![
        node.bold(),
        Span::from(format!(
            "  {} {}  up {}  peers {}/{}  flows {}",
            status.role,
            status.version,
            span(status.uptime_s),
            status.peers_up,
            status.peers,
            status.flows,
        )),
    ])
}

fn pages(screen: &Screen) -> Line<'static> {
    let mut spans = Vec::new();
    for (page, name) in Page::ALL {
        let style = match page == screen.page {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        spans.push(Span::styled(format!(" {name} "), style));
    }
    if screen.paused {
        spans.push("  PAUSED".yellow().bold());
    }
    spans.push(Span::from(format!("  by {}", screen.sort.as_str())).dim());
    Line::from(spans)
}

/// What an operator must not overlook.
fn notice(screen: &Screen, now: Instant) -> Option<Line<'_>> {
    if let Some(why) = &screen.gone {
        return Some(Line::from(format!("NO ANSWER, trying again: {why}")).red().bold());
    }
    let left = screen.pending_left(now)?;
    let by = &screen.now.as_ref()?.status.config.pending.as_ref()?.by;
    let text = format!("CHANGE by {by} is undone in {left} s unless confirmed: gridway config confirm");
    Some(Line::from(text).yellow().bold())
}

/// A table too full for comfort is coloured.
pub(super) fn fullness(percent: u64) -> Style {
    match percent {
        ALARM.. => Style::new().fg(Color::Red),
        WARNING.. => Style::new().fg(Color::Yellow),
        _ => Style::new().fg(Color::Green),
    }
}

/// `[####      ]`, of `width` columns in all.
pub(super) fn bar(percent: u64, width: usize) -> String {
    let inside = width.saturating_sub(2);
    let percent = usize::try_from(percent.min(100)).unwrap_or(100);
    let full = (inside * percent).div_ceil(100);
    format!("[{:<inside$}]", "#".repeat(full))
}
