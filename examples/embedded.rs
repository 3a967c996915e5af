//! Sessions without any web framework: a small console over the plain API.
//!
//! Two processes, in two terminals: this node's UDP port in the mesh, and any other nodes'.
//!
//! ```text
//! cargo run --release --example embedded -- 127.0.0.1:7001
//! cargo run --release --example embedded -- 127.0.0.1:7002 127.0.0.1:7001
//! ```
//!
//! Type at one, and see at both what happens:
//!
//! ```text
//! new ada
//! set ID cart apples
//! show ID
//! end ID
//! ```
//!
//! where ID is what `new` has printed: whoever knows it holds the session. Ctrl-D, Ctrl-C or SIGTERM leaves. Addresses other than loopback
//! need SESSIONMESH_SECRET, 32 bytes or more, the same on every node.

use std::error::Error;
use std::time::Duration;

use sessionmesh::{Expiry, Found, Mesh, SessionEvent, SessionId, Sessions, Watch};
use tokio::io::{AsyncBufReadExt, BufReader};

type Answer = Result<String, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Tells of seeds that do not answer and secrets that do not fit. A pipe that nobody reads does not hold up the node.
    let lines = sessionmesh::Lines::stderr();
    tracing_subscriber::fmt().with_writer(move || lines.clone()).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bind, seeds @ ..] = args.as_slice() else {
        return Err("usage: embedded MESH_ADDR [OTHER_MESH_ADDR]...".into());
    };
    let mut builder = Mesh::builder().cluster("embedded").bind(bind).seeds(seeds);
    if std::env::var_os("SESSIONMESH_SECRET").is_some() {
        builder = builder.secret_from_env("SESSIONMESH_SECRET")?;
    }
    let mesh = builder.start().await?;
    mesh.ready().await?;
    println!("{} is ready: new USER | set ID KEY VALUE | show ID | end ID", mesh.node());

    let sessions = mesh.sessions();
    tokio::spawn(tell(sessions.clone(), sessions.watch()));
    // Ctrl-C and SIGTERM end it in good order, as Ctrl-D does; there is no balancer that must notice first.
    let shutdown = mesh.shutdown(Duration::ZERO)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) =
        tokio::select! { line = lines.next_line() => line?, () = shutdown.drained() => None }
    {
        match obey(&sessions, &line).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("{error}; nothing was changed"),
        }
    }

    // Hands over what no other node has yet, and says goodbye, so that nobody waits for this node.
    shutdown.leave().await;
    // A read from stdin is under way in a thread, which the runtime's own end would wait for.
    std::process::exit(0);
}

/// Prints what happens to sessions, here or elsewhere. An id is a secret: others see its short hash.
async fn tell(sessions: Sessions, mut events: Watch) {
    while let Some(event) = events.next().await {
        let name = |id| sessions.log_name(id);
        match event {
            SessionEvent::Created(id) => println!("{} was created", name(&id)),
            SessionEvent::Changed(id, keys) => println!("{} has changed: {}", name(&id), keys.join(", ")),
            SessionEvent::Destroyed(id) => println!("{} was ended", name(&id)),
            SessionEvent::Expired(id) => println!("{} has expired", name(&id)),
            SessionEvent::Returned(id) => {
                println!("{} is back: it was used elsewhere before it expired", name(&id))
            }
            SessionEvent::Conflict(conflict) => {
                println!("{}: two writes met, one was kept", name(&conflict.id))
            }
            SessionEvent::Resync(missed) => println!("{missed} events came too fast to be told"),
        }
    }
}

/// Does what a line says, and gives what there is to say.
async fn obey(sessions: &Sessions, line: &str) -> Answer {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["new", user] => {
            let half_an_hour = Expiry::sliding(Duration::from_secs(1_800));
            let created = sessions.create(half_an_hour, |s| s.set("user", user))?;
            created.replicated().await;
            Ok(created.id().to_text())
        }
        ["set", id, key, value] => {
            let changed = sessions.edit(&parse(id)?, |s| s.set(key, value))?;
            changed.replicated().await;
            Ok(format!("{} of the nodes hold it", changed.have()))
        }
        // Asks the other nodes if this one does not have it.
        ["show", id] => match sessions.fetch(&parse(id)?).await {
            Found::Session(session) => {
                let fields = session.fields().map(|(key, _)| {
                    let value = session.get::<&str>(key)?.unwrap_or_default();
                    Ok::<_, sessionmesh::FieldError>(format!("{key} = {value}"))
                });
                Ok(fields.collect::<Result<Vec<_>, _>>()?.join("\n"))
            }
            Found::Absent => Ok("never created, expired, or ended".into()),
            Found::NotYetKnown | Found::Fenced => Ok("this node cannot know yet".into()),
        },
        ["end", id] => {
            sessions.destroy(&parse(id)?)?.replicated().await;
            Ok("ended for good".into())
        }
        _ => Err("new USER | set ID KEY VALUE | show ID | end ID".into()),
    }
}

fn parse(id: &str) -> Result<SessionId, String> {
    SessionId::parse(id).ok_or_else(|| "an id has 32 hex digits".into())
}
