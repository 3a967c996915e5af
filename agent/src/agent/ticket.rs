//! Which session a request names, by a ticket or by an id alone, and what it may do with it. Both come in a header or
//! the body, and never in a URL, where logs would keep them.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use sessionmesh::mesh::{Opened, Standing, Ticket};
use sessionmesh::{Found, SessionId};

use super::app::App;
use super::error::{Refusal, found};

/// One way to name a session.
struct Form {
    header: &'static str,
    field: &'static str,
    error: &'static str,
    shape: &'static str,
    parse: fn(&str) -> Option<Ticket>,
}

const FORMS: [Form; 2] = [
    Form {
        header: "Session-Ticket",
        field: "ticket",
        error: "bad_ticket",
        shape: "must be 64 hexadecimal digits",
        parse: Ticket::parse,
    },
    Form {
        header: "Session-Id",
        field: "id",
        error: "bad_session_id",
        shape: "must be 32 hexadecimal digits; a ticket goes in Session-Ticket",
        parse: |text| SessionId::parse(text).map(Ticket::bare),
    },
];

/// The session that a request names in a header or in its body.
///
/// # Errors
/// 400 if it names none, two, or something that is no ticket and no id. What was sent is not repeated.
pub fn named(headers: &HeaderMap, ticket: Option<&str>, id: Option<&str>) -> Result<Ticket, Refusal> {
    let none = || Refusal::bad("no_ticket", "no session named: send the header Session-Ticket");
    named_or_none(headers, ticket, id)?.ok_or_else(none)
}

/// As [`named`], for requests that need none.
///
/// # Errors
/// As [`named`].
pub fn named_or_none(
    headers: &HeaderMap,
    ticket: Option<&str>,
    id: Option<&str>,
) -> Result<Option<Ticket>, Refusal> {
    let mut named = None;
    for (form, in_body) in FORMS.iter().zip([ticket, id]) {
        let mut values = headers.get_all(form.header).iter();
        let in_header = values.next().map(HeaderValue::as_bytes);
        if values.next().is_some() {
            return Err(Refusal::bad(form.error, format!("header {}: given twice", form.header)));
        }
        let header = in_header.map(|bytes| (format!("header {}", form.header), bytes));
        let body = in_body.map(|text| (format!("body field {}", form.field), text.as_bytes()));
        for (place, bytes) in header.into_iter().chain(body) {
            let read = std::str::from_utf8(bytes).ok().and_then(form.parse);
            let read = read.ok_or_else(|| Refusal::bad(form.error, format!("{place}: {}", form.shape)))?;
            if named.is_some_and(|other| other != read) {
                return Err(Refusal::bad(form.error, format!("{place}: another session is named too")));
            }
            named = Some(read);
        }
    }
    Ok(named)
}

/// What a request is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// It looks.
    Reading,
    /// It writes: what is lost must be refused.
    Writing,
}

/// Opens the session of a ticket, asking peers for what is not here.
///
/// # Errors
/// 404 `absent`; for what goes on under another ticket 404 `replaced` if it is to be read, 409 `stale` if written; 503 if
/// this node cannot know.
pub async fn open(app: &App, ticket: &Ticket, wanted: For) -> Result<(), Refusal> {
    match opened(app, ticket).await {
        Opened::Here(Standing::Holder | Standing::Late) => Ok(()),
        Opened::Here(Standing::Ended | Standing::Moved) => Err(match wanted {
            For::Reading => Refusal::new(
                StatusCode::NOT_FOUND,
                "replaced",
                "the session goes on under another ticket since a log-in or a rotation",
            ),
            For::Writing => Refusal::stale(),
        }),
        Opened::Here(Standing::Unknown) | Opened::Gone => Err(Refusal::absent()),
        Opened::Unsure(why) => Err(unsure(app, ticket, why)),
    }
}

/// As [`sessionmesh::Sessions::open`]; an id alone opens nothing of a session that has keys, whatever others know.
pub async fn opened(app: &App, ticket: &Ticket) -> Opened {
    match app.sessions.open(ticket).await {
        Opened::Unsure(_) if ticket.is_bare() && here(app, ticket) => Opened::Here(Standing::Unknown),
        opened => opened,
    }
}

/// Whether the session is visible on this node.
pub fn here(app: &App, ticket: &Ticket) -> bool {
    matches!(app.sessions.get(&ticket.id), Found::Session(_))
}

/// 503, with the word for why.
pub fn unsure(app: &App, ticket: &Ticket, why: &str) -> Refusal {
    if let Found::Fenced = app.sessions.get(&ticket.id)
        && let Err(fenced) = found(Found::Fenced)
    {
        return fenced;
    }
    let detail = format!("{why}: ask another node, or again");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_yet_known", detail)
}
