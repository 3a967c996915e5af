//! Which items are part of what is shipped: all features on, tests and seeded bugs off.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

/// What a condition may name that is never so in what is shipped.
const NEVER: [&str; 3] = ["test", "doctest", "sessionmesh_mutants"];

/// Whether an item with these attributes is shipped.
pub fn is_shipped(attrs: &[Attribute]) -> bool {
    attrs.iter().all(|attr| {
        if attr.path().is_ident("test") {
            return false;
        }
        !attr.path().is_ident("cfg") || attr.parse_args::<Meta>().map_or(true, |meta| holds(&meta))
    })
}

fn holds(meta: &Meta) -> bool {
    let list = match meta {
        Meta::Path(path) => return !NEVER.iter().any(|name| path.is_ident(name)),
        Meta::NameValue(_) => return true,
        Meta::List(list) => list,
    };
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let parts: Vec<Meta> = parts.into_iter().flatten().collect();
    if list.path.is_ident("not") {
        // Of a condition that may be so or not, both sides are shipped by somebody.
        return parts.first().is_none_or(|meta| !holds(meta) || !is_fixed(meta));
    }
    if list.path.is_ident("any") { parts.iter().any(holds) } else { parts.iter().all(holds) }
}

/// Whether only [`NEVER`] decides a condition.
fn is_fixed(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => NEVER.iter().any(|name| path.is_ident(name)),
        Meta::NameValue(_) => false,
        Meta::List(list) => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|parts| parts.iter().all(is_fixed)),
    }
}

/// Whether an item is kept out of its documentation.
pub fn is_hidden(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("doc")
            && attr.parse_args::<Meta>().is_ok_and(|meta| meta.path().is_ident("hidden"))
    })
}

/// The documentation of an item, a line each.
pub fn docs(attrs: &[Attribute]) -> Vec<String> {
    let text = |attr: &Attribute| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    };
    attrs
        .iter()
        .filter_map(text)
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// What makes a fenced block of a documentation something else than Rust, or something that does not even compile.
const NO_EXAMPLE: [&str; 10] =
    ["text", "ignore", "toml", "json", "sh", "bash", "console", "yaml", "html", "http"];

/// Whether a documentation shows how its item is used: a fenced block of Rust.
pub fn has_example(docs: &[String]) -> bool {
    let mut inside = false;
    for line in docs {
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        let is_code = !kind.split([',', ' ']).any(|word| NO_EXAMPLE.contains(&word.trim()));
        if !inside && is_code {
            return true;
        }
        inside = !inside;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attrs(text: &str) -> Vec<Attribute> {
        syn::parse_str::<syn::ItemStruct>(&format!("{text}\nstruct S;")).unwrap().attrs
    }

    #[test]
    fn tests_and_seeded_bugs_are_not_shipped_and_features_are() {
        for (text, shipped) in [
            ("", true),
            ("#[cfg(test)]", false),
            ("#[cfg(sessionmesh_mutants)]", false),
            ("#[cfg(not(sessionmesh_mutants))]", true),
            ("#[cfg(not(test))]", true),
            (r#"#[cfg(feature = "axum")]"#, true),
            (r#"#[cfg(not(feature = "axum"))]"#, true),
            (r#"#[cfg(all(doctest, feature = "axum"))]"#, false),
            (r#"#[cfg(any(test, feature = "axum"))]"#, true),
            ("#[cfg(all(unix, not(test)))]", true),
            ("#[test]", false),
            ("#[inline]", true),
        ] {
            assert_eq!(is_shipped(&attrs(text)), shipped, "{text}");
        }
    }

    #[test]
    fn an_example_is_a_block_of_rust() {
        let has = |text: &str| has_example(&docs(&attrs(text)));
        assert!(has("/// So:\n/// ```\n/// f();\n/// ```\n"));
        assert!(has("/// ```no_run\n/// f();\n/// ```\n"));
        assert!(!has("/// ```text\n/// a picture\n/// ```\n"));
        assert!(has("/// ```text\n/// a picture\n/// ```\n/// ```\n/// f();\n/// ```\n"));
        assert!(!has("/// Words."));
        assert!(is_hidden(&attrs("#[doc(hidden)]")) && !is_hidden(&attrs("/// hidden")));
    }
}
