//! Files that are long.

use super::figure::{Figure, Place};
use super::source::{Part, Source, Sources};

/// More lines than this are listed.
const MOST_LINES: usize = 400;

/// Long files, those of tests by themselves: their tables may be long.
pub fn figures(sources: &Sources) -> Vec<Figure> {
    let long = |is_test: bool| {
        let files = sources.0.iter().filter(|source| (source.part == Part::Test) == is_test);
        files.filter_map(place).collect()
    };
    vec![
        Figure::of("long-files", "files of more than 400 lines", long(false)),
        Figure::of("long-test-files", "the same of tests, benches and examples", long(true)),
    ]
}

fn place(source: &Source) -> Option<Place> {
    let lines = source.text.lines().count();
    let what = format!("{lines} lines");
    (lines > MOST_LINES).then(|| Place { file: source.file.clone(), line: 0, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_hundred_lines_are_not_long_and_one_more_is() {
        let source = |lines: usize, part: Part| Source {
            file: format!("{lines}.rs"),
            path: "x.rs".into(),
            package: "x".into(),
            part,
            text: "\n".repeat(lines),
            items: Vec::new(),
        };
        let all = [400, 401].map(|lines| source(lines, Part::Edge)).into_iter();
        let all = all.chain([source(500, Part::Test)]).collect();
        let figures = figures(&Sources(all));
        let files = |n: usize| figures[n].places.iter().map(|p| p.file.as_str()).collect::<Vec<_>>();
        assert_eq!((files(0), files(1)), (vec!["401.rs"], vec!["500.rs"]));
    }
}
