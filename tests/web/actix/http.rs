//! The store beneath the real middleware: requests with cookies, through apps on two nodes.

use std::rc::Rc;

use actix_session::config::CookieContentSecurity;
use actix_session::{Session, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, Key};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, Error, test, web};
use sessionmesh::Found;
use sessionmesh::web::actix::MeshStore;
use tokio::sync::Barrier;

use super::{mesh_id, stores};
use crate::meshes::{everywhere, linked, value_everywhere, within};

/// Lets two requests meet after both have loaded the session.
type Meeting = Rc<Barrier>;

async fn login(session: Session) -> Result<String, Error> {
    session.renew();
    session.insert("user", "ada")?;
    Ok(String::new())
}

async fn add(
    session: Session,
    key: web::Path<String>,
    meeting: web::ThinData<Meeting>,
) -> Result<String, Error> {
    meeting.wait().await;
    session.insert(key.into_inner(), "there")?;
    meeting.wait().await;
    Ok(String::new())
}

async fn show(session: Session, key: web::Path<String>) -> Result<String, Error> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

async fn logout(session: Session) -> String {
    session.purge();
    String::new()
}

async fn app(
    store: &MeshStore,
    key: &Key,
    meeting: &Meeting,
) -> impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
    let sessions = SessionMiddleware::builder(store.clone(), key.clone())
        .cookie_secure(false)
        .cookie_content_security(CookieContentSecurity::Signed)
        .build();
    let app = App::new()
        .app_data(web::ThinData(Rc::clone(meeting)))
        .route("/login", web::post().to(login))
        .route("/add/{key}", web::post().to(add))
        .route("/get/{key}", web::get().to(show))
        .route("/logout", web::post().to(logout))
        .wrap(sessions);
    test::init_service(app).await
}

/// One request; its status, its answer, and the cookie to send next.
async fn call(
    app: &impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error>,
    method: Method,
    path: &str,
    cookie: &Option<Cookie<'static>>,
) -> (StatusCode, String, Option<Cookie<'static>>) {
    let mut request = test::TestRequest::default().method(method).uri(path);
    if let Some(cookie) = cookie {
        request = request.cookie(cookie.clone());
    }
    let response = within(path, app.call(request.to_request())).await.unwrap();
    let set = response.response().cookies().find(|c| c.name() == "id").map(Cookie::into_owned);
    let status = response.status();
    let body = test::read_body(response).await;
    (status, String::from_utf8(body.to_vec()).unwrap(), set.or_else(|| cookie.clone()))
}

/// The mesh's name for the session of a signed cookie: the value ends with the key.
fn id_of(cookie: &Option<Cookie<'static>>) -> sessionmesh::SessionId {
    let value = cookie.as_ref().unwrap().value();
    mesh_id(&value[value.len() - 32..])
}

#[actix_web::test]
async fn two_requests_at_once_on_two_nodes_lose_nothing() {
    let meshes = linked("actix-http").await;
    let ([a, b, _], key, meeting) = (stores(&meshes), Key::generate(), Meeting::new(Barrier::new(2)));
    let (first, second) = (app(&a, &key, &meeting).await, app(&b, &key, &meeting).await);
    let (_, _, cookie) = call(&first, Method::POST, "/login", &None).await;
    tokio::join!(
        call(&first, Method::POST, "/add/cart", &cookie),
        call(&second, Method::POST, "/add/lang", &cookie)
    );
    for name in ["cart", "lang"] {
        value_everywhere(&meshes, id_of(&cookie), name, Some("there")).await;
    }
    for path in ["/get/cart", "/get/lang"] {
        assert_eq!(call(&first, Method::GET, path, &cookie).await.1, "there");
    }
    assert_eq!(call(&second, Method::GET, "/get/user", &cookie).await.1, "ada");
}

#[actix_web::test]
async fn a_logout_during_another_request_is_final() {
    let meshes = linked("actix-http-logout").await;
    let ([a, b, _], key, meeting) = (stores(&meshes), Key::generate(), Meeting::new(Barrier::new(2)));
    let (first, second) = (app(&a, &key, &meeting).await, app(&b, &key, &meeting).await);
    let (_, _, cookie) = call(&first, Method::POST, "/login", &None).await;
    let logout = async {
        meeting.wait().await;
        call(&second, Method::POST, "/logout", &cookie).await;
        meeting.wait().await;
    };
    let (slow, ()) = tokio::join!(call(&first, Method::POST, "/add/seen", &cookie), logout);
    assert_eq!(slow.0, StatusCode::OK, "a late save is no error");
    everywhere(&meshes, id_of(&cookie), "logged out", |found| matches!(found, Found::Absent)).await;
    for sent in [&cookie, &slow.2] {
        assert_eq!(call(&first, Method::GET, "/get/user", sent).await.1, "", "nor under a new key");
    }
}

#[actix_web::test]
async fn a_login_gets_a_new_key_and_the_old_one_is_worth_nothing() {
    let meshes = linked("actix-http-renew").await;
    let ([a, b, _], key, meeting) = (stores(&meshes), Key::generate(), Meeting::new(Barrier::new(2)));
    let (first, second) = (app(&a, &key, &meeting).await, app(&b, &key, &meeting).await);
    let (_, _, visitor) = call(&first, Method::POST, "/login", &None).await;
    let (_, _, user) = call(&second, Method::POST, "/login", &visitor).await;
    assert_ne!(id_of(&visitor), id_of(&user));
    assert_eq!(call(&first, Method::GET, "/get/user", &user).await.1, "ada");
    assert_eq!(call(&first, Method::GET, "/get/user", &visitor).await.1, "");
}
