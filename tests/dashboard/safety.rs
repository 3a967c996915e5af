//! Who is let in, what every answer carries, and what is never told.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use sessionmesh::dashboard::{ASSETS, DashboardConfig};

use super::{Answer, get, lasting, open, request, send};
use crate::meshes;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const MESH: &str = "/ops/mesh/api/v1/mesh";

fn with(path: &str, name: header::HeaderName, value: &str) -> Request<Body> {
    let mut request = request(path);
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_only_this_machine_is_let_in_by_a_loopback_name() {
    let a = meshes::alone("local").await;
    let router = a.dashboard(DashboardConfig::default());
    for path in ["/", "/api/v1/mesh", "/metrics", "/api/v1/stream", "/style.css"] {
        let rebound = send(&router, with(path, header::HOST, "rebound.example:8080")).await;
        assert_eq!(rebound.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
        let mut far = request(path);
        far.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 9], 50_000))));
        assert_eq!(send(&router, far).await.status, StatusCode::FORBIDDEN, "{path}");
        let mut unknown = request(path);
        unknown.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
        assert_eq!(send(&router, unknown).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let mut foreign = with("/api/v1/mesh", "sec-fetch-site".parse().unwrap(), "cross-site");
    foreign.headers_mut().insert("sec-fetch-mode", "cors".parse().unwrap());
    assert_eq!(send(&router, foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&router, "/api/v1/mesh").await.status, StatusCode::OK);
    assert_eq!(send(&router, with("/api/v1/mesh", header::HOST, "[::1]:8080")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_api_and_is_exchanged_for_a_cookie_by_the_form() {
    let a = meshes::alone("token").await;
    let router =
        Router::new().nest_service("/ops/mesh", a.dashboard(DashboardConfig::with_token(TOKEN).unwrap()));
    let status = async |request| send(&router, request).await.status;
    let mesh = "/ops/mesh/api/v1/mesh";
    assert_eq!(status(request(mesh)).await, StatusCode::UNAUTHORIZED);
    for wrong in [
        "Bearer nonsense",
        "Bearer ",
        "Bearer",
        TOKEN,
        &format!("Basic {TOKEN}"),
        &format!("Bearer {TOKEN}0"),
    ] {
        assert_eq!(
            status(with(mesh, header::AUTHORIZATION, wrong)).await,
            StatusCode::UNAUTHORIZED,
            "{wrong}"
        );
    }
    assert_eq!(status(with(mesh, header::AUTHORIZATION, &format!("bearer {TOKEN}"))).await, StatusCode::OK);
    let form = get(&router, "/ops/mesh/").await;
    assert!(
        form.status == StatusCode::UNAUTHORIZED
            && form.text.contains("<form method=\"post\" action=\"login\">")
    );

    let refused = log_in(&router, "a wrong token of some length").await;
    assert!(refused.status == StatusCode::UNAUTHORIZED && refused.headers.get(header::SET_COOKIE).is_none());
    let let_in = log_in(&router, TOKEN).await;
    assert_eq!(let_in.status, StatusCode::SEE_OTHER);
    let cookie = let_in.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/ops/mesh/;"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "the token stays out of the browser's store");
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(status(with(mesh, header::COOKIE, &format!("theme=dark; {pair}"))).await, StatusCode::OK);
    assert_eq!(status(with(mesh, header::COOKIE, &format!("{pair}0"))).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(with(mesh, header::COOKIE, "sessionmesh_dashboard=")).await, StatusCode::UNAUTHORIZED);
}

async fn log_in(router: &Router, token: &str) -> Answer {
    let mut request = request("/ops/mesh/login");
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    *request.body_mut() = Body::from(format!("token={}", token.replace(' ', "+")));
    send(router, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let a = meshes::alone("guess").await;
    let dashboard = a.dashboard(DashboardConfig::with_token(TOKEN).unwrap());
    let router = Router::new().nest("/ops/mesh", dashboard);
    let let_in = log_in(&router, TOKEN).await;
    let cookie = let_in.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    let mut barred = false;
    // Ten a second are looked at; a second may turn in between, and none of them takes a hundredth of one.
    for guess in 0..2_000 {
        let answer = send(&router, with(MESH, header::AUTHORIZATION, &format!("Bearer {guess:032}"))).await;
        barred |= answer.status == StatusCode::TOO_MANY_REQUESTS;
        if barred {
            break;
        }
    }
    assert!(barred);
    // Whoever has the token is let in by each way meanwhile: it is compared before guesses are counted.
    let bearer = send(&router, with(MESH, header::AUTHORIZATION, &format!("Bearer {TOKEN}"))).await;
    let kept = send(&router, with(MESH, header::COOKIE, cookie.split(';').next().unwrap())).await;
    assert_eq!((bearer.status, kept.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(log_in(&router, TOKEN).await.status, StatusCode::SEE_OTHER);
}

#[test]
fn a_token_must_be_long_and_is_never_printed() {
    let short = DashboardConfig::with_token("hunter2").unwrap_err().to_string();
    assert!(short.contains("7 characters") && !short.contains("hunter2"), "{short}");
    assert!(DashboardConfig::with_token("sixteen characters with spaces").is_err());
    assert!(!format!("{:?}", DashboardConfig::with_token(TOKEN).unwrap()).contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_policy() {
    let a = meshes::alone("policy").await;
    let router = open(&a);
    for path in ["/", "/style.css", "/api/v1/mesh", "/metrics", "/nothing", "/login"] {
        let headers = get(&router, path).await.headers;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer", "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
    for asset in ASSETS {
        let answer = get(&router, &format!("/{}", asset.name)).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, asset.text), "{}", asset.name);
        assert_eq!(answer.headers[header::CONTENT_TYPE], asset.media_type);
    }
    let mut post = request("/api/v1/mesh");
    *post.method_mut() = Method::POST;
    assert_eq!(send(&router, post).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_found_wherever_it_is_mounted() {
    let a = meshes::alone("mount").await;
    let page = async |router: &Router, path| get(router, path).await.text.contains("<title>sessionmesh");
    let nested = Router::new().nest("/dashboard", open(&a));
    let service = Router::new().nest_service("/dashboard", open(&a));
    assert!(page(&service, "/dashboard/").await && page(&open(&a), "/").await);
    for router in [&nested, &service] {
        assert!(page(router, "/dashboard/index.html").await);
        let bare = get(router, "/dashboard").await;
        assert_eq!(bare.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(bare.headers[header::LOCATION], "dashboard/index.html");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_shown_only_where_permitted_and_asked_for_and_ids_never() {
    let a = meshes::alone("values").await;
    let id = a.sessions().create(lasting(), |s| s.set("user", "ada lovelace")).unwrap().id();
    let hash = a.sessions().log_name(&id).trim_start_matches('#').to_owned();
    let (hidden, shown) = (a.dashboard(DashboardConfig::loopback()), open(&a));
    let (bare, asked) = (format!("/api/v1/sessions/{hash}"), format!("/api/v1/sessions/{hash}?values=1"));
    for path in [&asked, "/api/v1/conflicts?values=1"] {
        assert_eq!(get(&hidden, path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    for router in [&hidden, &shown] {
        let answer = get(router, &bare).await;
        assert!(answer.status == StatusCode::OK && !answer.text.contains("lovelace"), "{}", answer.text);
    }
    let answer = get(&shown, &asked).await.json();
    assert_eq!(answer["session"]["fields"][0]["value"]["json"], "ada lovelace");
    let paths = ["/api/v1/sessions", &bare, &asked, "/api/v1/snapshot", "/metrics", "/api/v1/members"];
    for path in paths {
        let text = get(&shown, path).await.text;
        assert!(!text.contains(&id.to_text()), "{path} tells an id");
        if path == "/metrics" {
            assert!(!text.contains(&hash), "metrics name no session");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    use tower::ServiceExt;
    let a = meshes::alone("streams").await;
    let router = open(&a);
    let mut streams = Vec::new();
    let refused = loop {
        let response = router.clone().oneshot(request("/api/v1/stream")).await.unwrap();
        if response.status() != StatusCode::OK {
            break response.status();
        }
        streams.push(response);
        assert!(streams.len() <= 64);
    };
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    streams.pop();
    assert_eq!(router.clone().oneshot(request("/api/v1/stream")).await.unwrap().status(), StatusCode::OK);
}
