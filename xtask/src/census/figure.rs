//! One figure and its places.

/// Where something was found, and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, from the workspace's folder on.
    pub file: String,
    /// The line, from 1 on; 0: the file as a whole.
    pub line: usize,
    /// What.
    pub what: String,
}

/// A number with a name.
pub struct Figure {
    /// Its name: words with hyphens, the package after a dot.
    pub name: String,
    /// What it counts, for whoever reads the table.
    pub about: &'static str,
    /// The number.
    pub count: usize,
    /// What was counted. Of circles also who is in them, so that there may be more.
    pub places: Vec<Place>,
}

impl Figure {
    /// As many as there are places, which are put into order.
    pub fn of(name: impl Into<String>, about: &'static str, mut places: Vec<Place>) -> Self {
        places.sort();
        Self { name: name.into(), about, count: places.len(), places }
    }
}
