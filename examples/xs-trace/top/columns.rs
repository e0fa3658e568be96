//! The columns of the table: their contents, widths and sort orders.

use std::cmp::Ordering;

use super::rates::Row;

/// In the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    Domid,
    Name,
    Requests,
    Latency,
    Events,
    Watches,
    Nodes,
    Memory,
    Transactions,
    Conflicts,
    Stalls,
    Throttled,
    Refused,
}

use Column::*;

impl Column {
    pub const ALL: [Column; 13] = [
        Domid,
        Name,
        Requests,
        Latency,
        Events,
        Watches,
        Nodes,
        Memory,
        Transactions,
        Conflicts,
        Stalls,
        Throttled,
        Refused,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Domid => "DOMID",
            Name => "NAME",
            Requests => "REQ/S",
            Latency => "USEC",
            Events => "EVT/S",
            Watches => "WATCH",
            Nodes => "NODES",
            Memory => "MEM",
            Transactions => "TX",
            Conflicts => "CONFL",
            Stalls => "STALL",
            Throttled => "THR",
            Refused => "REFUS",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Domid => "the domain's number",
            Name => "its name in the store",
            Requests => "requests in a second",
            Latency => "microseconds that the server took for one of them, on the average",
            Events => "watch events in a second",
            Watches => "watches that it has registered",
            Nodes => "nodes that it owns",
            Memory => "bytes that its nodes, watches and messages take",
            Transactions => "transactions that it has open",
            Conflicts => "commits that failed because another had changed what was read, in all",
            Stalls => "times that it was not served, or its messages waited, in all",
            Throttled => "milliseconds that it waited because it was beyond its budget, in all",
            Refused => "requests that a quota or a lack of room refused, in all",
        }
    }

    /// Characters that it takes at least; the name takes what is left of a line.
    pub fn width(self) -> usize {
        match self {
            Name => 8,
            Transactions => 4,
            _ => 5,
        }
    }

    pub fn cell(self, row: &Row) -> String {
        let total = &row.total;
        match self {
            Domid => row.domid.to_string(),
            Name => row.name.clone(),
            Requests => compact(row.requests),
            Latency => row.latency.map_or_else(|| "-".to_owned(), compact),
            Events => compact(row.events),
            Watches => compact(total.watches as f64),
            Nodes => compact(total.nodes as f64),
            Memory => compact(total.memory as f64),
            Transactions => compact(total.transactions as f64),
            Conflicts => compact(total.conflicts as f64),
            Stalls => compact(total.stalls as f64),
            Throttled => compact(total.throttled as f64),
            Refused => compact(total.refused as f64),
        }
    }

    /// Text in its column's width; what is too long is cut.
    pub fn fit(self, text: &str, name_width: usize) -> String {
        match self {
            Name => format!("{text:<name_width$.name_width$}"),
            _ => format!("{text:>width$}", width = self.width()),
        }
    }

    fn value(self, row: &Row) -> f64 {
        let total = &row.total;
        match self {
            Domid | Name => f64::from(row.domid),
            Requests => row.requests,
            Latency => row.latency.unwrap_or(-1.0),
            Events => row.events,
            Watches => total.watches as f64,
            Nodes => total.nodes as f64,
            Memory => total.memory as f64,
            Transactions => total.transactions as f64,
            Conflicts => total.conflicts as f64,
            Stalls => total.stalls as f64,
            Throttled => total.throttled as f64,
            Refused => total.refused as f64,
        }
    }

    /// Numbers and names of domains in their order, all else with the most first; equal ones by domid.
    fn compare(self, a: &Row, b: &Row) -> Ordering {
        match self {
            Name => a.name.cmp(&b.name),
            Domid => a.domid.cmp(&b.domid),
            _ => self.value(b).total_cmp(&self.value(a)),
        }
    }
}

/// By which column rows are sorted, and whether the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sorting {
    pub column: Column,
    pub reverse: bool,
}

impl Sorting {
    pub fn by(column: Column) -> Sorting {
        Sorting { column, reverse: false }
    }

    /// The column to the left or right, and none beyond the outermost.
    pub fn moved(self, right: bool) -> Sorting {
        let at = Column::ALL.iter().position(|column| *column == self.column).unwrap_or(0);
        let to = if right { at + 1 } else { at.saturating_sub(1) };
        Sorting { column: Column::ALL[to.min(Column::ALL.len() - 1)], ..self }
    }

    pub fn sort(self, rows: &mut [Row]) {
        rows.sort_by(|a, b| {
            let order = self.column.compare(a, b);
            let order = if self.reverse { order.reverse() } else { order };
            order.then(a.domid.cmp(&b.domid))
        });
    }
}

/// A number that is not negative, in five characters or less where it is below 10^15.
pub fn compact(value: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    if value == 0.0 {
        return "0".to_owned();
    }
    if value < 9999.5 && value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let (mut value, mut unit) = (value, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.95 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::super::sample::Counts;
    use super::*;

    fn row(domid: u16, requests: f64, memory: u64) -> Row {
        Row {
            domid,
            name: format!("guest-{domid}"),
            requests,
            events: 0.0,
            latency: None,
            total: Counts { memory, ..Counts::default() },
            trouble: false,
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (7.0, "7"),
            (999.6, "1.00k"),
            (9.96, "10.0"),
            (1234.0, "1234"),
            (12_345.0, "12.3k"),
            (999_400.0, "999k"),
            (999_600.0, "1.00M"),
            (2.5e9, "2.50G"),
        ] {
            assert_eq!(compact(value), text);
        }
        assert!((0..15).all(|n| compact(9.999 * 10_f64.powi(n)).len() <= 5));
    }

    #[test]
    fn rows_are_sorted_by_any_column() {
        let mut rows = [row(3, 1.0, 10), row(1, 5.0, 10), row(2, 0.0, 99)];
        for (column, reverse, order) in [
            (Requests, false, [1, 3, 2]),
            (Requests, true, [2, 3, 1]),
            (Memory, false, [2, 1, 3]),
            (Domid, false, [1, 2, 3]),
            (Name, true, [3, 2, 1]),
        ] {
            Sorting { column, reverse }.sort(&mut rows);
            assert_eq!(rows.each_ref().map(|row| row.domid), order, "{column:?} {reverse}");
        }
    }

    #[test]
    fn the_column_moves_within_the_table() {
        let first = Sorting::by(Domid);
        assert_eq!(first.moved(false), first);
        assert_eq!(first.moved(true).column, Name);
        assert_eq!(Sorting::by(Refused).moved(true).column, Refused);
    }

    #[test]
    fn a_line_fits_an_old_terminal() {
        let width: usize = Column::ALL.iter().map(|column| column.width() + 1).sum();
        assert!(width <= 80, "{width}");
        assert_eq!(Name.fit("a-long-name-of-a-guest", 9), "a-long-na");
    }
}
