//! What is understood as a reference, and what of it is broken.

use super::*;

fn broken(file: &str, text: &str) -> [Vec<String>; 3] {
    let algorithm = "# The algorithm\n## 1. What is promised\n1. One.\n## 6. Expiry\n";
    let manual = "# Manual\n## When a session ends\n";
    let documents: BTreeMap<PathBuf, Document> = [
        ("/nowhere/docs/ALGORITHM.md", algorithm),
        ("/nowhere/docs/MANUAL.md", manual),
        ("/nowhere/docs/OWN.md", "## 9. Own\n"),
    ]
    .map(|(path, text)| (path.into(), Document::read(text)))
    .into();
    let (path, root) = (Path::new("/nowhere").join(file), Path::new("/nowhere"));
    let look = Look { root, documents: &documents, path: &path, told: file.to_owned() };
    let mut broken = Broken::default();
    let proses = if file.ends_with(".md") { of_document(text) } else { of_source(text) };
    proses.iter().for_each(|prose| look.read(prose, &mut broken));
    let told = |places: Vec<Place>| places.iter().map(|p| format!("{}:{}", p.line, p.what)).collect();
    [told(broken.documents), told(broken.within), told(broken.bare)]
}

const NONE: [&[&str]; 3] = [&[], &[], &[]];

#[test]
fn what_is_there_is_not_broken() {
    for text in [
        "//! `docs/ALGORITHM.md` §6 tells why.",
        "//! (ALGORITHM.md §1, §6, and §1.1 with §6)",
        "//! `docs/MANUAL.md`, \"When a\n//! session ends\".",
        "//! The rule (§6).",
        "//! [it](docs/MANUAL.md#when-a-session-ends)",
        "//! SWIM §4.3, Lifeguard §IV-B, RFC 6265 §5.1, (Dadgar et al. 2018, §9)",
        "//! https://example.org/NOWHERE.md and *.md",
        "let x = \"NOWHERE.md §9\";",
    ] {
        assert_eq!(broken("src/lib.rs", text), NONE, "{text}");
    }
}

#[test]
fn what_is_not_there_is_told_by_kind_and_line() {
    let all = broken(
        "src/lib.rs",
        "//! Fine.\n//! CRDT.md §6, and ALGORITHM.md §1, §7.\nfn f() {}\n/// `docs/MANUAL.md`, \"Nowhere\".\n/// See §6.2, MANUAL.md#nowhere.\n",
    );
    let within = ["2:ALGORITHM.md §7", "4:docs/MANUAL.md \"Nowhere\"", "5:MANUAL.md #nowhere"];
    let expected: [&[&str]; 3] = [&["2:CRDT.md"], &within, &["5:§6.2"]];
    assert_eq!(all, expected);
}

#[test]
fn a_document_means_its_own_sections_and_anchors() {
    let all =
        broken("docs/ALGORITHM.md", "As §6 says, not §7.\n[a](#6-expiry) [b](#7-time) [c](nowhere.png)\n");
    let expected: [&[&str]; 3] = [&["2:nowhere.png"], &["2:#7-time"], &["1:§7"]];
    assert_eq!(all, expected);
}

#[test]
fn a_section_without_a_document_is_of_the_own_one_or_of_the_algorithm() {
    let bare = |file: &str| broken(file, "As §9 says, not §1.\n")[2].clone();
    assert_eq!(bare("docs/OWN.md"), ["1:§1"]);
    assert_eq!(bare("docs/MANUAL.md"), ["1:§9"]);
    // And one behind a document's is of that one, whatever joins them.
    let [_, within, bare] = broken("src/lib.rs", "//! OWN.md §9 with §1, and §6\n");
    assert_eq!((within.len(), bare.len()), (2, 0), "{within:?} {bare:?}");
}
