//! The page's files: all in the binary and light, nothing from elsewhere, no markup made of data; and its logic, which
//! `node --test tests/browser/page/` tries where node is installed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sessionmesh::dashboard_page::ASSETS;

/// The whole page may weigh this much (bytes), before compression.
const MOST_BYTES: usize = 100 * 1024;
/// For node only.
const NOT_SERVED: &str = "package.json";
/// What makes markup or code of text.
const FORBIDDEN: [&str; 8] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "DOMParser",
    "srcdoc",
];
/// The one address that is a name and not a place.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_file_of_the_page_is_in_the_binary() {
    let folder = std::fs::read_dir(root().join("src/dashboard/page")).unwrap();
    let files: BTreeSet<String> = folder.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    let served: BTreeSet<String> =
        ASSETS.iter().map(|a| a.name.to_owned()).chain([NOT_SERVED.to_owned()]).collect();
    assert_eq!(files, served);
}

#[test]
fn the_page_is_light() {
    let bytes: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

#[test]
fn modules_say_what_they_are_and_make_no_markup_of_data() {
    for asset in ASSETS.iter().filter(|a| a.name.ends_with(".js")) {
        assert!(asset.text.starts_with("// "), "{}: must open with a comment saying what it is", asset.name);
        for word in FORBIDDEN {
            assert!(!asset.text.contains(word), "{}: {word}", asset.name);
        }
    }
}

#[test]
fn the_page_names_no_other_place_and_imports_only_its_own_files() {
    for asset in ASSETS {
        let text = asset.text.replace(NAMESPACE, "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{}: an address", asset.name);
        for line in text.lines().filter(|line| line.contains(" from \"")) {
            let from =
                line.split(" from \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let own = from.strip_prefix("./").is_some_and(|name| ASSETS.iter().any(|a| a.name == name));
            assert!(own, "{}: imports {from}", asset.name);
        }
    }
}

#[test]
fn the_page_holds_no_inline_script_or_style() {
    let page = ASSETS[0].text;
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
    assert_eq!(page.matches("<script").count(), page.matches("></script>").count(), "scripts are files");
}

#[test]
fn the_logic_of_the_page_holds() {
    let Ok(version) = Command::new("node").arg("--version").output() else {
        println!("skipped: no node in PATH");
        return;
    };
    let major = String::from_utf8_lossy(&version.stdout);
    let major = major.trim_start_matches('v').split('.').next().and_then(|m| m.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        println!("skipped: node 20 or newer is needed, this is {major:?}");
        return;
    }
    let tried =
        Command::new("node").args(["--test", "tests/browser/page/"]).current_dir(root()).output().unwrap();
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{said}\n{}", String::from_utf8_lossy(&tried.stderr));
    assert!(said.contains("pass ") && !said.contains("pass 0"), "tests were run: {said}");
}
