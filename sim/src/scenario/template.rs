//! A scenario to begin with: commented, small, and passing.

/// The text of a scenario file of this name, on this many nodes.
pub fn template(name: &str, nodes: usize) -> String {
    let all: Vec<String> = (0..nodes).map(|n| format!("\"n{n}\"")).collect();
    let (rest, everybody) = (all.get(1..).unwrap_or_default().join(", "), all.join(", "));
    let settle_ms = if nodes > 12 { 20_000 } else { 8_000 };
    let writer = if nodes > 1 { "n1" } else { "n0" };
    let mut text = format!(
        r#"#:schema ../scenario.schema.json

name = "{name}"
# What would this catch? One sentence.
about = "A session survives."
# Everything random is drawn from this number: the same seed, the same run.
seed = 1

# The nodes are n0 to n{last}. Unless a step starts them later (`late`), all start at 0.
[mesh]
nodes = {nodes}

# What the network does throughout: loss, delay, duplicates, replay, damage, bandwidth.
[network]
delay_max_ms = 20

# Traffic as statistics; leave it out if the steps below are enough.
[[workload]]
from_ms = {from}
until_ms = {until}
ops = 50
sessions = 10

# The timeline: one moment and one action a step.
[[step]]
at_ms = {settle}
create = {{ node = "n0", session = 900, fields = {{ user = "ada" }} }}
"#,
        last = nodes.saturating_sub(1),
        from = number(settle_ms / 2),
        until = number(settle_ms + 20_000),
        settle = number(settle_ms),
    );
    if nodes > 1 {
        text += &partition(settle_ms, &everybody, &rest);
    }
    text + &ending(settle_ms, writer)
}

/// The nodes agree, and then are cut apart.
fn partition(settle_ms: u64, everybody: &str, rest: &str) -> String {
    format!(
        r#"
# A look fails the run if the nodes do not show this.
[[step]]
at_ms = {}
look = {{ nodes = [{everybody}], session = 900, fields = {{ user = "ada" }} }}

[[step]]
at_ms = {}
cut = {{ between = ["n0"], and = [{rest}] }}
"#,
        number(settle_ms + 4_000),
        number(settle_ms + 5_000)
    )
}

/// A write, the heal, and what is expected.
fn ending(settle_ms: u64, writer: &str) -> String {
    format!(
        r#"
[[step]]
at_ms = {}
set = {{ node = "{writer}", session = 900, fields = {{ cart = "3" }} }}

# Then all faults end, and everything must become equal.
[heal]
at_ms = {}

# What must hold besides the invariants, which always must. Marks name rare things that must have happened.
[expect]
acked_writes_lost = 0
marks = []
"#,
        number(settle_ms + 10_000),
        number(settle_ms + 22_000)
    )
}

/// A number with its thousands apart, as TOML allows.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(c);
    }
    out
}
