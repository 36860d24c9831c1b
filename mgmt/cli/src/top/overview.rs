//! The first page: tunnels, what is dropped, how full things are, and the last events.

use gridway_control::PeerState;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::model::{Dropped, Screen, Tunnel};
use super::{limits, tables};
use crate::show::unit::{magnitude, short_milliseconds};

/// Lines of the lower parts, titles included.
const MIDDLE: u16 = 7;
const EVENTS: u16 = 5;
/// Columns of a line of a tunnel, and of its name, on the narrowest terminal.
const COLUMNS: usize = 80;
const NAME: usize = 10;

pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Min(4), Constraint::Length(MIDDLE), Constraint::Length(EVENTS)])
            .areas(area);
    tunnels(frame, screen, top);
    let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Min(0)]).areas(middle);
    drops(frame, screen, left);
    limits::summary(frame, screen, right);
    tables::events(frame, screen, bottom);
}

fn tunnels(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    // What a wide screen has over goes to the names.
    let name = NAME + usize::from(area.width).saturating_sub(COLUMNS);
    let title = format!(
        "{:<name$} {:<10} {:>7} {:>7} {:>8} {:>8} {:>6} {:>6} {:>9}",
        "TUNNEL", "STATE", "RTT ms", "P99 ms", "TX bit/s", "RX bit/s", "TX p/s", "RX p/s", "QUEUE, ms"
    );
    let mut lines = vec![Line::from(title).bold()];
    lines.extend(screen.tunnels().iter().skip(screen.scroll).map(|tunnel| line(tunnel, name)));
    frame.render_widget(Paragraph::new(lines), area);
}

fn line<'a>(tunnel: &Tunnel<'a>, name: usize) -> Line<'a> {
    let peer = tunnel.peer;
    let colour = match peer.state {
        PeerState::Up => Color::Green,
        PeerState::Connecting => Color::Yellow,
        PeerState::Down => Color::Red,
    };
    let time = |time: Option<u64>| time.map_or("-".to_owned(), short_milliseconds);
    // A tunnel that is not up has a reason where others have figures.
    let rest = match (&peer.reason, peer.state) {
        (Some(reason), PeerState::Connecting | PeerState::Down) => reason.clone(),
        _ => {
            let queue = match tunnel.queued {
                0 => "-".to_owned(),
                queued => format!("{queued} {}", short_milliseconds(tunnel.queue_wait_us)),
            };
            let carried =
                [tunnel.tx_bits, tunnel.rx_bits, tunnel.tx_packets, tunnel.rx_packets].map(magnitude);
            let [tx_bits, rx_bits, tx_packets, rx_packets] = carried;
            let (rtt, p99) = (time(peer.rtt_us), time(tunnel.p99_us));
            format!("{rtt:>7} {p99:>7} {tx_bits:>8} {rx_bits:>8} {tx_packets:>6} {rx_packets:>6} {queue:>9}")
        }
    };
    Line::from(vec![
        Span::from(format!("{:<name$.name$} ", peer.name)),
        Span::styled(format!("{:<10} ", peer.state.as_str()), colour),
        Span::from(rest),
    ])
}

fn drops(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let all = screen.drops(|snapshot| &snapshot.counters.drops);
    let mut lines = vec![Line::from(format!("{:<22}{:>7}{:>6}", "DROPPED", "COUNT", "/S")).bold()];
    let line = |dropped: &Dropped<'_>| {
        let (count, rate) = (magnitude(dropped.count), magnitude(dropped.rate));
        let text = format!("{:<22.22}{count:>7}{rate:>6}", dropped.reason);
        let style = if dropped.rate > 0 { Style::new().fg(Color::Yellow) } else { Style::new() };
        Line::styled(text, style)
    };
    lines.extend(all.iter().map(line));
    if all.is_empty() {
        lines.push(Line::from("nothing").dim());
    }
    frame.render_widget(Paragraph::new(lines), area);
}
