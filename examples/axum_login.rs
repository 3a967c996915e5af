//! Logins with axum-login 0.18, unmodified, whose sessions live in the processes that serve them.
//!
//! Two processes, in two terminals: where browsers connect, this node's UDP port in the mesh, and any other nodes'.
//!
//! ```text
//! cargo run --release --features tower-sessions-014 --example axum_login -- 127.0.0.1:3001 127.0.0.1:7001
//! cargo run --release --features tower-sessions-014 --example axum_login -- 127.0.0.1:3002 127.0.0.1:7002 127.0.0.1:7001
//! ```
//!
//! Log in at one, go in at the other, log out there, and be out at both; `-b` and `-c` keep the cookie in a jar:
//!
//! ```text
//! curl -b jar -c jar http://127.0.0.1:3001/account
//! curl -b jar -c jar -d 'name=ada&password=analytical' http://127.0.0.1:3001/login
//! curl -b jar -c jar http://127.0.0.1:3002/account
//! curl -b jar -c jar -X POST http://127.0.0.1:3002/logout
//! curl -b jar -c jar http://127.0.0.1:3001/account
//! ```
//!
//! Stop either one with Ctrl-C in between: nobody is logged out. Addresses other than loopback need SESSIONMESH_SECRET, 32
//! bytes or more, the same on every node.

use std::convert::Infallible;
use std::error::Error;

use axum::extract::Form;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, serve};
use axum_login::tower_sessions::cookie::time::Duration;
use axum_login::tower_sessions::{Expiry, SessionManagerLayer};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use serde::Deserialize;
use sessionmesh::Mesh;
use sessionmesh::web::tower_sessions::MeshStore;

/// Who may log in. A service has these in its database, hashed.
const USERS: [(&str, &str); 2] = [("ada", "analytical"), ("grace", "compiler")];

#[derive(Clone, Debug)]
struct User {
    name: String,
    password: &'static str,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.name.clone()
    }

    /// When this changes, sessions from before are ended.
    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

#[derive(Clone)]
struct Users;

#[derive(Clone, Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, given: Credentials) -> Result<Option<User>, Infallible> {
        Ok(self.get_user(&given.name).await?.filter(|user| user.password == given.password))
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        let user = USERS.into_iter().find(|user| user.0 == name);
        Ok(user.map(|(name, password)| User { name: name.to_owned(), password }))
    }
}

type Auth = AuthSession<Users>;
/// Nothing was changed: the client may try again, and a load balancer elsewhere.
type Failed = (StatusCode, String);

fn failed(error: impl std::fmt::Display) -> Failed {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
}

async fn login(mut auth: Auth, Form(given): Form<Credentials>) -> Result<String, Failed> {
    let Some(user) = auth.authenticate(given).await.map_err(failed)? else {
        return Err((StatusCode::UNAUTHORIZED, "no such user, or another password\n".into()));
    };
    auth.login(&user).await.map_err(failed)?;
    Ok(format!("hello {}\n", user.name))
}

async fn logout(mut auth: Auth) -> Result<&'static str, Failed> {
    // Final on every node, whatever other requests are still saving.
    auth.logout().await.map_err(failed)?;
    Ok("goodbye\n")
}

async fn account(auth: Auth) -> String {
    // Behind `login_required`, there is a user.
    auth.user.map(|user| format!("this is the account of {}\n", user.name)).unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [http, bind, seeds @ ..] = args.as_slice() else {
        return Err("usage: axum_login HTTP_ADDR MESH_ADDR [OTHER_MESH_ADDR]...".into());
    };
    let mut builder = Mesh::builder().cluster("login").bind(bind).seeds(seeds);
    if std::env::var_os("SESSIONMESH_SECRET").is_some() {
        builder = builder.secret_from_env("SESSIONMESH_SECRET")?;
    }
    let mesh = builder.start().await?;
    // Not before the sessions are here: an unknown session is a user logged out.
    mesh.ready().await?;

    let sessions = SessionManagerLayer::new(MeshStore::new(mesh.sessions()))
        // This example speaks plain HTTP, over which no client returns a Secure cookie. Leave it on otherwise.
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::minutes(30)));
    let app = Router::new()
        .route("/account", get(account))
        .route_layer(login_required!(Users))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .layer(AuthManagerLayerBuilder::new(Users, sessions).build());
    let listener = tokio::net::TcpListener::bind(http).await?;
    // Hears SIGTERM and Ctrl-C. /readyz says no from then on, and for two seconds requests are served all the same.
    let shutdown = mesh.shutdown(std::time::Duration::from_secs(2))?;
    println!("http://{}", listener.local_addr()?);
    serve(listener, app).with_graceful_shutdown(shutdown.drained()).await?;

    // Hands over what no other node has yet, and says goodbye, so that nobody waits for this node.
    shutdown.leave().await;
    Ok(())
}
