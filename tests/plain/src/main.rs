//! Fractions, through actix-session's store, the plain API and JSON text as the agent reads it, in a build without any
//! development dependency: one of those switched on a feature of serde_json without which one fraction in ten came back
//! as its neighbour, so that no test could see it.

use std::collections::HashMap;
use std::error::Error;

use actix_session::storage::SessionStore;
use sessionmesh::web::actix::MeshStore;
use sessionmesh::{AsJson, Mesh, SessionId};

/// Fractions to try.
const TRIED: u32 = 2_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = "a-secret-of-enough-bytes-for-a-mesh-of-one-node";
    let mesh = Mesh::builder().cluster("fractions").node("a").secret(secret).start().await?;
    mesh.ready().await?;
    let store = MeshStore::new(mesh.sessions());
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    let mut other = 0;
    for _ in 0..TRIED {
        bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
        // Between 1 and 2: what people keep, and as hard to read as any.
        let fraction = f64::from_bits(bits >> 12 | 1.0_f64.to_bits());
        other += u32::from(!survives(&mesh, &store, fraction).await?);
    }
    if other > 0 {
        return Err(format!("{other} of {TRIED} fractions came back as another, or not at all").into());
    }
    println!("{TRIED} fractions came back as they were");
    Ok(())
}

/// Whether a fraction that was saved as text reads the same everywhere.
async fn survives(mesh: &Mesh, store: &MeshStore, fraction: f64) -> Result<bool, Box<dyn Error>> {
    let text = serde_json::to_string(&fraction)?;
    let state = HashMap::from([("v".to_owned(), text.clone())]);
    let key = store.save(state, &time::Duration::minutes(1)).await.map_err(|e| e.to_string())?;
    let id = SessionId::parse(key.as_ref()).ok_or("no id")?;
    let session = mesh.sessions().get(&id).session().ok_or("no session")?;
    let plain = session.get::<f64>("v").ok().flatten();
    let json = session.get::<AsJson>("v").ok().flatten().map(|json| json.0.to_string());
    let loaded = store.load(&key).await.map_err(|e| e.to_string())?.and_then(|mut state| state.remove("v"));
    let parsed: serde_json::Value = serde_json::from_str(&text)?;
    Ok(plain == Some(fraction)
        && json.as_ref() == Some(&text)
        && loaded.as_ref() == Some(&text)
        && parsed.as_f64() == Some(fraction))
}
