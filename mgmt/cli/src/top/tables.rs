//! Pages of one table each.

use gridway_control::{ConnectionRow, EventRow, Severity, TcpInfo};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table};

use super::model::{Dropped, Page, Screen};
use crate::show::unit::{magnitude, moment, short_milliseconds};

fn header<const N: usize>(names: [&'static str; N]) -> Row<'static> {
    Row::new(names).bold()
}

/// Connections of the tunnels: round trips, queues, retransmissions.
pub(super) fn connections(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let Some(now) = &screen.now else { return };
    let [area, note] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    let names = ["PEER", "CARRIES", "LAST", "P50", "P90", "P99", "MAX", "QUEUED", "WAIT", "RESENT", "RATE"];
    let fixed = [7, 6, 6, 6, 6, 6, 6, 6, 6, 5].map(Constraint::Length);
    let widths = [Constraint::Min(8)].into_iter().chain(fixed);
    let mut rows: Vec<&ConnectionRow> = now.connections.iter().collect();
    // In the order that tunnels have on the first page.
    let order: Vec<&str> = screen.tunnels().iter().map(|tunnel| tunnel.peer.name.as_str()).collect();
    rows.sort_by_key(|row| order.iter().position(|name| *name == row.peer));
    let rows = rows.into_iter().skip(screen.scroll).map(connection);
    frame.render_widget(Table::new(rows, widths).header(header(names)), area);
    let units = "Round trips and waits in milliseconds, delivery rate in bit/s";
    frame.render_widget(Paragraph::new(units).dim(), note);
}

fn connection(row: &ConnectionRow) -> Row<'_> {
    let round_trip = &row.round_trip;
    let measured = |time: u64| match round_trip.samples {
        0 => "-".to_owned(),
        _ => short_milliseconds(time),
    };
    let tcp =
        |field: fn(&TcpInfo) -> u64| row.tcp.as_ref().map_or("-".to_owned(), |tcp| magnitude(field(tcp)));
    Row::new([
        row.peer.clone(),
        row.carries.clone(),
        measured(round_trip.last_us),
        measured(round_trip.p50_us),
        measured(round_trip.p90_us),
        measured(round_trip.p99_us),
        measured(round_trip.max_us),
        row.queued_records.to_string(),
        short_milliseconds(row.queue_wait_us),
        tcp(|tcp| tcp.retransmitted),
        tcp(|tcp| tcp.delivery_rate_bps),
    ])
}

/// Drops by reason, each direction on a side of its own.
pub(super) fn drops(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(area);
    side(
        frame,
        screen,
        left,
        "LOCAL TO OVERLAY",
        &screen.drops(|snapshot| &snapshot.counters.outbound.drops),
    );
    side(
        frame,
        screen,
        right,
        "OVERLAY TO LOCAL",
        &screen.drops(|snapshot| &snapshot.counters.inbound.drops),
    );
}

fn side(frame: &mut Frame<'_>, screen: &Screen, area: Rect, title: &'static str, drops: &[Dropped<'_>]) {
    let widths = [Constraint::Min(16), Constraint::Length(8), Constraint::Length(7)];
    let rows = drops.iter().skip(screen.scroll).map(|dropped| {
        let style = if dropped.rate > 0 { Style::new().fg(Color::Yellow) } else { Style::new() };
        Row::new([dropped.reason.to_owned(), magnitude(dropped.count), magnitude(dropped.rate)]).style(style)
    });
    frame.render_widget(Table::new(rows, widths).header(header([title, "COUNT", "/S"])), area);
}

/// The last events, the newest first.
pub(super) fn events(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let mut lines = vec![Line::from("EVENTS (UTC)").bold()];
    let scroll = if screen.page == Page::Events { screen.scroll } else { 0 };
    lines.extend(screen.events.iter().skip(scroll).take(usize::from(area.height)).map(event));
    if screen.events.is_empty() {
        lines.push(Line::from("none").dim());
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn event(row: &EventRow) -> Line<'_> {
    let colour = match row.severity {
        Severity::Info => Style::new(),
        Severity::Warning => Style::new().fg(Color::Yellow),
        Severity::Error => Style::new().fg(Color::Red),
    };
    let times = if row.count > 1 { format!(" ({} times)", row.count) } else { String::new() };
    Line::from(vec![
        Span::from(format!("{} ", moment(row.last_ms / 1000))),
        Span::styled(format!("{} {}", row.kind, row.subject), colour),
        Span::from(format!(": {}{times}", row.message)),
    ])
}
