//! What functions take and return, and how many fields structures have: in everything that is shipped, tests left out.
//!
//! What a trait demands of its implementations is counted where the trait is, errors excepted: whether those are text is
//! the implementation's own choice. A receiver is no parameter.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, GenericArgument, PathArguments, ReturnType, Signature, Type, Visibility};

use super::cfg::is_shipped;
use super::figure::{Figure, Place};
use super::source::{Part, Source, Sources};

/// More parameters than this are listed.
const MOST_PARAMETERS: usize = 6;
/// More fields than this are listed.
const MOST_FIELDS: usize = 12;

/// The figures, over all packages and by package.
pub fn figures(sources: &Sources) -> Vec<Figure> {
    let mut library = BTreeMap::<String, Found>::new();
    let mut edges = BTreeMap::<String, Found>::new();
    for source in sources.0.iter().filter(|source| source.part != Part::Test) {
        let of = if source.part == Part::Library { &mut library } else { &mut edges };
        of.entry(source.package.clone()).or_default().read(source);
    }
    let all = |pick: fn(&Found) -> &Vec<Place>| -> Vec<Place> {
        library.values().chain(edges.values()).flat_map(|found| pick(found).clone()).collect()
    };
    let mut figures = Vec::new();
    let errors = "functions that return Result<_, String>, in libraries";
    let places = library.values().flat_map(|found| found.text_errors.clone()).collect();
    figures.push(Figure::of("string-errors.library", errors, places));
    for (package, found) in &library {
        let name = format!("string-errors.library.{package}");
        figures.push(Figure::of(name, "  of those in this package", found.text_errors.clone()));
    }
    let errors = "the same, with what is only there for programs";
    figures.push(Figure::of("string-errors.all", errors, all(|found| &found.text_errors)));
    for (package, found) in &edges {
        let mut places = found.text_errors.clone();
        places.extend(library.get(package).into_iter().flat_map(|found| found.text_errors.clone()));
        figures.push(Figure::of(
            format!("string-errors.all.{package}"),
            "  of those in this package",
            places,
        ));
    }
    let about = "functions with a tuple among their parameters";
    figures.push(Figure::of("tuple-parameters", about, all(|found| &found.tuples)));
    figures.push(Figure::of(
        "long-parameter-lists",
        "functions with more than 6 parameters",
        all(|f| &f.long),
    ));
    let about = "bool parameters of public functions of libraries";
    let places = library.values().flat_map(|found| found.flags.clone()).collect();
    figures.push(Figure::of("bool-parameters", about, places));
    figures.push(Figure::of("wide-structs", "structs with more than 12 fields", all(|found| &found.wide)));
    figures
}

/// What one part of a package has.
#[derive(Default)]
struct Found {
    text_errors: Vec<Place>,
    tuples: Vec<Place>,
    long: Vec<Place>,
    flags: Vec<Place>,
    wide: Vec<Place>,
    file: String,
    /// Whether the visitor is in an implementation of a trait.
    in_trait_impl: bool,
}

impl Found {
    fn read(&mut self, source: &Source) {
        self.file.clone_from(&source.file);
        source.items.iter().for_each(|item| self.visit_item(item));
    }

    fn place(&self, span: Span, what: String) -> Place {
        Place { file: self.file.clone(), line: span.start().line, what }
    }

    fn function(&mut self, sig: &Signature, is_public: bool) {
        let name = sig.ident.to_string();
        if returns_text_error(&sig.output) {
            self.text_errors.push(self.place(sig.ident.span(), name.clone()));
        }
        if self.in_trait_impl {
            return;
        }
        let typed = || {
            sig.inputs.iter().filter_map(|arg| match arg {
                FnArg::Typed(arg) => Some(arg),
                FnArg::Receiver(_) => None,
            })
        };
        if typed().any(|arg| is_tuple(&arg.ty)) {
            self.tuples.push(self.place(sig.ident.span(), name.clone()));
        }
        if typed().count() > MOST_PARAMETERS {
            self.long.push(self.place(sig.ident.span(), format!("{name}: {}", typed().count())));
        }
        for arg in typed().filter(|arg| is_public && is_path(&arg.ty, "bool")) {
            self.flags.push(self.place(arg.colon_token.span, format!("{name}: {}", name_of(&arg.pat))));
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_shipped(attrs(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, matches!(item.vis, Visibility::Public(_)));
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outside = std::mem::replace(&mut self.in_trait_impl, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.in_trait_impl = outside;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_shipped(&item.attrs) {
            self.function(&item.sig, matches!(item.vis, Visibility::Public(_)));
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let is_public = matches!(item.vis, Visibility::Public(_));
        for inner in &item.items {
            if let syn::TraitItem::Fn(function) = inner {
                self.function(&function.sig, is_public);
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let fields = item.fields.len();
        if fields > MOST_FIELDS {
            self.wide.push(self.place(item.ident.span(), format!("{}: {fields}", item.ident)));
        }
    }
}

/// The attributes of an item that can be left out of a build.
pub fn attrs(item: &syn::Item) -> &[Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(pat: &syn::Pat) -> String {
    if let syn::Pat::Ident(pat) = pat { pat.ident.to_string() } else { "_".into() }
}

fn is_path(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

fn is_tuple(ty: &Type) -> bool {
    match ty {
        Type::Reference(inner) => is_tuple(&inner.elem),
        Type::Paren(inner) => is_tuple(&inner.elem),
        Type::Tuple(tuple) => !tuple.elems.is_empty(),
        _ => false,
    }
}

/// Whether `Result<_, String>` is anywhere in what is returned: in an option or a future it is the same.
fn returns_text_error(output: &ReturnType) -> bool {
    struct Look(bool);
    impl<'ast> Visit<'ast> for Look {
        fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
            if let PathArguments::AngleBracketed(args) = &segment.arguments {
                let error = args.args.iter().nth(1);
                let is_text = matches!(error, Some(GenericArgument::Type(ty)) if is_path(ty, "String"));
                self.0 |= segment.ident == "Result" && is_text;
            }
            visit::visit_path_segment(self, segment);
        }
    }
    let mut look = Look(false);
    look.visit_return_type(output);
    look.0
}

#[cfg(test)]
mod tests;
