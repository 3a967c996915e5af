//! What somebody who misspelt a name may have meant.

/// Names more than one letter in so many apart are not alike.
const LETTERS_A_MISTAKE: usize = 4;

/// The known name that this one is most like, if any is.
pub fn meant<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known)).min()?;
    (near.0 <= near.1.len().max(LETTERS_A_MISTAKE) / LETTERS_A_MISTAKE).then_some(near.1)
}

/// `; did you mean X?`, or nothing.
pub fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    meant(name, known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_word() {
        let known = ["seeds", "settle_ms", "gossip_interval_ms", "node"];
        assert_eq!(meant("seed", known), Some("seeds"));
        assert_eq!(meant("gossip_ms", known), None);
        assert_eq!(meant("gossip_intervall_ms", known), Some("gossip_interval_ms"));
        assert_eq!(meant("SETLTE_MS", known), Some("settle_ms"));
        assert_eq!(meant("port", known), None, "as orchestrators call theirs");
        assert_eq!(did_you_mean("nod", known), "; did you mean node?");
    }
}
