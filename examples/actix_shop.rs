//! A shop on actix-web and actix-session whose sessions live in the processes that serve it.
//!
//! Two processes, in two terminals: where browsers connect, this node's UDP port in the mesh, and any other nodes'.
//!
//! ```text
//! cargo run --release --features actix --example actix_shop -- 127.0.0.1:3001 127.0.0.1:7001
//! cargo run --release --features actix --example actix_shop -- 127.0.0.1:3002 127.0.0.1:7002 127.0.0.1:7001
//! ```
//!
//! Log in at one, shop at both, log out at the other; `-b` and `-c` keep the cookie in a jar:
//!
//! ```text
//! curl -b jar -c jar -X POST http://127.0.0.1:3001/login/ada
//! curl -b jar -c jar -X POST http://127.0.0.1:3001/cart/apples
//! curl -b jar -c jar -X POST http://127.0.0.1:3002/cart/bread
//! curl -b jar -c jar         http://127.0.0.1:3001/
//! curl -b jar -c jar -X POST http://127.0.0.1:3002/logout
//! curl -b jar -c jar         http://127.0.0.1:3001/
//! ```
//!
//! Stop either one with Ctrl-C in between: nobody is logged out. Addresses other than loopback need SESSIONMESH_SECRET, 32
//! bytes or more, the same on every node; and COOKIE_KEY, 64 bytes or more, likewise.

use std::error::Error;

use actix_session::config::PersistentSession;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Key, time::Duration};
use actix_web::{App, HttpServer, web};
use sessionmesh::Mesh;
use sessionmesh::web::actix::MeshStore;

/// What the shop sells. Each item is a session key of its own: of two requests that put different items into one
/// cart at the same moment, on two nodes, neither undoes the other.
const ITEMS: [&str; 3] = ["apples", "bread", "cheese"];
/// Good for nothing but this example.
const EXAMPLE_KEY: &[u8; 64] = b"an example key that everybody can read: use COOKIE_KEY otherwise";

type Answer = actix_web::Result<String>;

async fn login(session: Session, user: web::Path<String>) -> Answer {
    // A new key for a new right: whoever planted the old one in the browser does not get in with it.
    session.renew();
    session.insert("user", user.as_str())?;
    Ok(format!("hello {user}\n"))
}

async fn add(session: Session, item: web::Path<String>) -> Answer {
    if !ITEMS.contains(&item.as_str()) {
        return Err(actix_web::error::ErrorNotFound(format!("we sell {}\n", ITEMS.join(", "))));
    }
    let key = format!("cart.{item}");
    let count = session.get::<u32>(&key)?.unwrap_or(0) + 1;
    session.insert(key, count)?;
    Ok(format!("{count} {item}\n"))
}

async fn show(session: Session) -> Answer {
    let user = session.get::<String>("user")?;
    let mut page = format!("{}\n", user.as_deref().unwrap_or("nobody is logged in"));
    for item in ITEMS {
        if let Some(count) = session.get::<u32>(&format!("cart.{item}"))? {
            page += &format!("  {count} {item}\n");
        }
    }
    Ok(page)
}

async fn logout(session: Session) -> &'static str {
    // Final on every node, whatever other requests are still saving.
    session.purge();
    "goodbye\n"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [http, bind, seeds @ ..] = args.as_slice() else {
        return Err("usage: actix_shop HTTP_ADDR MESH_ADDR [OTHER_MESH_ADDR]...".into());
    };
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let mut builder = Mesh::builder().cluster("actix-shop").bind(bind).seeds(seeds);
    if std::env::var_os("SESSIONMESH_SECRET").is_some() {
        builder = builder.secret_from_env("SESSIONMESH_SECRET")?;
    }
    let mesh = builder.start().await?;
    // Not before the sessions are here: an unknown session is a user logged out.
    mesh.ready().await?;

    let key =
        std::env::var("COOKIE_KEY").map_or_else(|_| Key::from(EXAMPLE_KEY), |key| Key::from(key.as_bytes()));
    // One store per node; the workers' apps get clones.
    let store = MeshStore::new(mesh.sessions());
    let server = HttpServer::new(move || {
        let sessions = SessionMiddleware::builder(store.clone(), key.clone())
            // This example speaks plain HTTP, over which no client returns a Secure cookie. Leave it on otherwise.
            .cookie_secure(false)
            .session_lifecycle(PersistentSession::default().session_ttl(Duration::minutes(30)))
            .build();
        App::new()
            .route("/", web::get().to(show))
            .route("/login/{user}", web::post().to(login))
            .route("/cart/{item}", web::post().to(add))
            .route("/logout", web::post().to(logout))
            .wrap(sessions)
    });
    // Hears SIGTERM and Ctrl-C in actix's place, which would stop at once: for two seconds more requests are served while
    // `Mesh::readiness`, and with it a health route, says no.
    let shutdown = mesh.shutdown(std::time::Duration::from_secs(2))?;
    let server = server.disable_signals().bind(http)?.run();
    println!("http://{}", http);
    let handle = server.handle();
    let drained = shutdown.drained();
    actix_web::rt::spawn(async move {
        drained.await;
        handle.stop(true).await;
    });
    server.await?;

    // Hands over what no other node has yet, and says goodbye, so that nobody waits for this node.
    shutdown.leave().await;
    Ok(())
}
