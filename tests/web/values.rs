//! Values of every kind, set through each way in and read through each: equal, or an error, or not there at all where the
//! table says so, and never another value.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sessionmesh::web::{actix, tower_sessions as tower};
use sessionmesh::{AsJson, Error, Expiry, Mesh, SessionId};
use tower_sessions::Session;
use tower_sessions::session::Id;

use crate::actix::kit as actix_kit;
use crate::meshes;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Named(String),
    Pair(u8, i64),
    Paid { until: u64, by: Option<uuid::Uuid> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Person { id: uuid::Uuid },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Id(uuid::Uuid),
    Number(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    plans: Vec<Plan>,
    #[serde(flatten)]
    rest: BTreeMap<String, Option<f64>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

/// The ways in and out, in the table's order. The agent's is JSON text, to and from the plain API; the layer for axum
/// hands values to the plain API as they are.
const WAYS: [&str; 4] = ["plain", "tower-sessions", "actix", "agent"];

struct Ways {
    mesh: Mesh,
    tower: Arc<tower::MeshStore>,
    actix: actix::MeshStore,
}

impl Ways {
    async fn open() -> Self {
        let mesh = meshes::alone("values").await;
        let sessions = || mesh.sessions();
        let (tower, actix) = (tower::MeshStore::new(sessions()), actix::MeshStore::new(sessions()));
        Self { tower: Arc::new(tower), actix, mesh }
    }

    fn plain(&self, value: &(impl Serialize + ?Sized)) -> Option<SessionId> {
        let expiry = Expiry::sliding(Duration::from_secs(60));
        Some(self.mesh.sessions().create(expiry, |f| f.set("v", value)).ok()?.id())
    }

    /// A session with the value, by one way; `None` if that refuses it.
    async fn set(&self, way: &str, value: &impl Serialize) -> Option<SessionId> {
        let text = || serde_json::to_string(value).ok();
        match way {
            "plain" => self.plain(value),
            "tower-sessions" => {
                let session = Session::new(None, Arc::clone(&self.tower), None);
                session.insert("v", value).await.ok()?;
                session.save().await.unwrap();
                Some(tower::mesh_id(session.id().unwrap().0))
            }
            "actix" => {
                use actix_session::storage::SessionStore;
                let state = [("v".to_owned(), text()?)].into();
                let key: String = self.actix.save(state, &actix_kit::minutes(1)).await.unwrap().into();
                Some(actix_kit::mesh_id(&key))
            }
            _ => self.plain(&serde_json::from_str::<Value>(&text()?).ok()?),
        }
    }

    /// What one way reads: the value, or its error's text.
    async fn get<T: DeserializeOwned>(&self, way: &str, id: SessionId) -> Result<Option<T>, String> {
        let session = || self.mesh.sessions().get(&id).session().unwrap();
        let parse = |text: String| serde_json::from_str(&text).map_err(|e| e.to_string());
        match way {
            "plain" => session().get("v").map_err(|e| e.to_string()),
            "tower-sessions" => {
                let id = Id(i128::from_le_bytes(*id.as_bytes()));
                let session = Session::new(Some(id), Arc::clone(&self.tower), None);
                session.get("v").await.map_err(|e| e.to_string())
            }
            "actix" => {
                let state = actix_kit::load(&self.actix, &id.to_text()).await;
                state.get("v").cloned().map(parse).transpose()
            }
            _ => match session().get::<AsJson>("v") {
                Ok(json) => json.map(|json| parse(json.0.to_string())).transpose(),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// One row: for each way in a word of what each way out gives.
    async fn row<T>(&self, value: &T, same: impl Fn(&T, &T) -> bool) -> String
    where
        T: Serialize + DeserializeOwned + Debug,
    {
        let mut row = Vec::new();
        for way_in in WAYS {
            let Some(id) = self.set(way_in, value).await else {
                row.push("refused".to_owned());
                continue;
            };
            let mut word = String::new();
            for way_out in WAYS {
                word.push(match self.get::<T>(way_out, id).await {
                    Ok(Some(read)) if same(&read, value) => '=',
                    Ok(Some(read)) => panic!("{value:?} set by {way_in} is {read:?} by {way_out}"),
                    Err(_) => 'e',
                    Ok(None) => '-',
                });
            }
            row.push(word);
        }
        row.join(" ")
    }
}

/// Appends a row, and whether it is as expected.
macro_rules! rows {
    ($ways:ident: $($name:literal, $value:expr, $expected:literal;)*) => {{
        let mut wrong = Vec::new();
        $({
            let row = $ways.row(&$value, |a, b| a == b).await;
            if row != $expected {
                wrong.push(format!("{}: {row}, expected {}", $name, $expected));
            }
        })*
        wrong
    }};
}

/// Per way in, in the order of [`WAYS`]: what the ways out give, in the same order. `=` equal, `e` an error, `-` not
/// shown; `refused`: it cannot be set.
#[tokio::test]
async fn a_value_reads_equal_or_not_at_all() {
    let ways = Ways::open().await;
    let id = uuid::Uuid::from_u128(0x1234_5678_9abc_def0_1122_3344_5566_7788);
    let ip: std::net::IpAddr = "2001:db8::1".parse().unwrap();
    let address: std::net::SocketAddr = "192.0.2.1:80".parse().unwrap();
    let paid = Plan::Paid { until: u64::MAX, by: Some(id) };
    let nested = Nested {
        plans: vec![Plan::Free, Plan::Named("ü\u{0}".into()), Plan::Pair(1, i64::MIN), paid.clone()],
        rest: BTreeMap::from([("a".to_owned(), Some(0.1)), ("b".to_owned(), None)]),
    };
    let wrong = rows!(ways:
        "text", "ü\u{0}\"".to_owned(), "==== ==== ==== ====";
        "char", 'ß', "==== ==== ==== ====";
        "bool", true, "==== ==== ==== ====";
        "u64", u64::MAX, "==== ==== ==== ====";
        "i64", i64::MIN, "==== ==== ==== ====";
        "u128, small", 7_u128, "=eee ==== ==== ====";
        "u128, large", u128::MAX, "=eee refused e-=e eeee";
        "f64", 0.1_f64 + 0.2, "==== ==== ==== ====";
        "f32", 0.1_f32, "==== ==== ==== ====";
        "Uuid", id, "==== ==== ==== ====";
        "IpAddr", ip, "==== ==== ==== ====";
        "SocketAddr", address, "==== ==== ==== ====";
        "map with text keys", BTreeMap::from([("k".to_owned(), 1)]), "==== ==== ==== ====";
        "map with number keys", BTreeMap::from([(7_u32, "x".to_owned())]), "==== e=== e=== e===";
        "map with Uuid keys", BTreeMap::from([(id, 1)]), "==== ==== ==== ====";
        "bytes", serde_bytes::ByteBuf::from(vec![0, 255, 7]), "==== ==== ==== ====";
        "Vec<u8>", vec![0_u8, 255, 7], "==== ==== ==== ====";
        "tuple", (1_u8, "x".to_owned(), id), "==== ==== ==== ====";
        "Some", Some(id), "==== ==== ==== ====";
        "None", None::<u32>, "==== ==== ==== ====";
        "()", (), "==== ==== ==== ====";
        "unit struct", Unit, "=eee ==== ==== ====";
        "enum, unit", Plan::Free, "==== ==== ==== ====";
        "enum, newtype", Plan::Named("x".into()), "==== ==== ==== ====";
        "enum, tuple", Plan::Pair(1, i64::MIN), "==== ==== ==== ====";
        "enum, struct", paid, "==== ==== ==== ====";
        "enum, tagged", Tagged::Person { id }, "==== ==== ==== ====";
        "enum, untagged", Untagged::Id(id), "==== ==== ==== ====";
        "nested, flattened", nested, "==== ==== ==== ====";
        "Duration", Duration::new(u64::MAX, 999_999_999), "==== ==== ==== ====";
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_json_cannot_say_is_no_other_number() {
    let ways = Ways::open().await;
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let row = ways.row(&odd, |a, b| a.to_bits() == b.to_bits()).await;
        // Frameworks make null of it before a store sees it.
        assert_eq!(row, "=--e eeee eeee eeee", "{odd}");
    }
}

#[tokio::test]
async fn fractions_are_exact() {
    let ways = Ways::open().await;
    // A fixed multiplicative walk over all bit patterns.
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..500 {
        bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
        let fraction = f64::from_bits(bits);
        if fraction.is_finite() {
            let row = ways.row(&fraction, |a, b| a.to_bits() == b.to_bits()).await;
            assert_eq!(row, "==== ==== ==== ====", "{fraction:e}");
        }
    }
}

#[tokio::test]
async fn raw_bytes_are_no_number_and_an_error_says_no_value() {
    let ways = Ways::open().await;
    let expiry = Expiry::sliding(Duration::from_secs(60));
    let raw = |fields: &mut sessionmesh::Fields| {
        fields.set_bytes("v", *b"hello");
        Ok::<(), Error>(())
    };
    let id = ways.mesh.sessions().create(expiry, raw).unwrap().id();
    let error = ways.get::<u8>("plain", id).await.unwrap_err();
    assert!(error.contains("\"v\"") && error.contains("not one MessagePack value"), "{error}");
    assert_eq!(ways.get::<u8>("tower-sessions", id).await, Ok(None));
    assert_eq!(ways.get::<u8>("actix", id).await, Ok(None));
    let id = ways.plain("hunter2").unwrap();
    for error in
        [ways.get::<Plan>("plain", id).await.unwrap_err(), ways.get::<u8>("plain", id).await.unwrap_err()]
    {
        assert!(error.contains("\"v\"") && error.contains("text") && !error.contains("hunter2"), "{error}");
    }
}
