//! Circles between packages, development dependencies included, and the binaries that tests are linked into.

use super::circles::{Graph, circles};
use super::figure::{Figure, Place};
use crate::workspace::{Package, Workspace};

/// The figures.
pub fn figures(workspace: &Workspace) -> Vec<Figure> {
    let root = workspace.packages.iter().find(|package| package.dir == workspace.root);
    let of_root = root.into_iter().flat_map(|package| binaries(workspace, package, true)).collect();
    let all = |only: bool| workspace.packages.iter().flat_map(|p| binaries(workspace, p, only)).collect();
    vec![
        package_circles(workspace),
        Figure::of("test-binaries.root", "binaries of integration tests, of the root", of_root),
        Figure::of("test-binaries.workspace", "the same, of all packages", all(true)),
        Figure::of("test-binaries.all", "the same, with those of unit tests", all(false)),
    ]
}

fn binaries(workspace: &Workspace, package: &Package, integration_only: bool) -> Vec<Place> {
    let tested = package.targets.iter().filter(|target| target.is_tested);
    let chosen = tested.filter(|target| !integration_only || target.kind == "test");
    let place = chosen.map(|target| Place {
        file: workspace.told(&target.root),
        line: 0,
        what: format!("{} {} of {}", target.kind, target.name, package.name),
    });
    place.collect()
}

fn package_circles(workspace: &Workspace) -> Figure {
    let mut graph = Graph::new();
    for package in &workspace.packages {
        let needs = package.needs.iter().map(|need| need.name.clone());
        graph.entry(package.name.clone()).or_default().extend(needs);
    }
    let found = circles(&graph);
    let mut places = Vec::new();
    for members in &found {
        for package in workspace.packages.iter().filter(|package| members.contains(&package.name)) {
            let file = workspace.told(&package.dir.join("Cargo.toml"));
            for need in package.needs.iter().filter(|need| members.contains(&need.name)) {
                let kind = if need.kind == "normal" { String::new() } else { format!(" ({})", need.kind) };
                let what = format!("{} -> {}{kind}", package.name, need.name);
                places.push(Place { file: file.clone(), line: 0, what });
            }
        }
    }
    let about = "circles between packages, with development dependencies";
    Figure { name: "package-circles".into(), about, count: found.len(), places }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Need, Target};

    fn package(name: &str, dir: &str, needs: &[(&str, &str)]) -> Package {
        let need = |&(name, kind): &(&str, &str)| Need { name: name.to_owned(), kind: kind.to_owned() };
        let target = |kind: &str, is_tested: bool| Target {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            root: format!("{dir}/{kind}.rs").into(),
            is_tested,
        };
        let targets = vec![target("lib", true), target("test", true), target("example", false)];
        Package { name: name.into(), dir: dir.into(), targets, needs: needs.iter().map(need).collect() }
    }

    #[test]
    fn a_circle_through_a_development_dependency_is_one() {
        let packages = vec![
            package("core", "/w/core", &[]),
            package("root", "/w", &[("core", "normal"), ("sim", "dev")]),
            package("sim", "/w/sim", &[("root", "normal")]),
        ];
        let workspace = Workspace { root: "/w".into(), target_dir: "/w/target".into(), packages };
        let figures = figures(&workspace);
        let whats: Vec<&str> = figures[0].places.iter().map(|place| place.what.as_str()).collect();
        assert_eq!((figures[0].count, whats), (1, vec!["root -> sim (dev)", "sim -> root"]));
        let counts: Vec<usize> = figures.iter().map(|figure| figure.count).collect();
        assert_eq!(counts, [1, 1, 3, 6]);
        assert_eq!(figures[1].places[0].what, "test test of root");
    }
}
