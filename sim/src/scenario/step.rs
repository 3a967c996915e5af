//! The vocabulary of the timeline: one thing that happens at one moment.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::net::Faults;
use crate::world::Lie;

/// A node by its name: `n0`, `n1`, …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeIx(pub usize);

impl fmt::Display for NodeIx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl Serialize for NodeIx {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeIx {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix('n').filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        let ix = digits.and_then(|d| d.parse().ok());
        ix.map(Self).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is not a node: nodes are called \"n0\", \"n1\", …"))
        })
    }
}

impl JsonSchema for NodeIx {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Node".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^n[0-9]+$", "description": "a node: n0, n1, …" })
    }
}

/// One step of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// When (virtual ms).
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What happens in a step: a fault, an operation of a client, or a look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Cuts the links between two groups.
    Cut {
        /// One group.
        between: Vec<NodeIx>,
        /// The other.
        and: Vec<NodeIx>,
        /// Only what the first group sends to the second is cut.
        #[serde(default, skip_serializing_if = "super::is_default")]
        one_way: bool,
    },
    /// Ends cuts between two groups.
    Mend {
        /// One group.
        between: Vec<NodeIx>,
        /// The other.
        and: Vec<NodeIx>,
        /// Only from the first to the second.
        #[serde(default, skip_serializing_if = "super::is_default")]
        one_way: bool,
    },
    /// Ends all cuts and flapping.
    Heal {},
    /// Links that come and go.
    Flap {
        /// One group.
        between: Vec<NodeIx>,
        /// The other.
        and: Vec<NodeIx>,
        /// How long they are down (ms).
        down_ms: u64,
        /// How long they are up (ms).
        up_ms: u64,
        /// For how long (ms).
        for_ms: u64,
        /// Only from the first to the second.
        #[serde(default, skip_serializing_if = "super::is_default")]
        one_way: bool,
    },
    /// What the network does from now on: everywhere, or between two groups, both ways.
    Network {
        /// One group; all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        between: Vec<NodeIx>,
        /// The other; all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        and: Vec<NodeIx>,
        /// What.
        #[serde(default)]
        faults: Box<Faults>,
    },
    /// Kills processes: memory and links are gone.
    Crash {
        /// Which.
        nodes: Vec<NodeIx>,
    },
    /// Starts processes, without memory, under their old names.
    Start {
        /// Which.
        nodes: Vec<NodeIx>,
        /// Started without seeds: the first of a mesh of its own.
        #[serde(default, skip_serializing_if = "super::is_default")]
        alone: bool,
    },
    /// Lets processes leave in good order.
    Leave {
        /// Which.
        nodes: Vec<NodeIx>,
    },
    /// An operator declares at one node that another's present life will not return.
    Forget {
        /// Where.
        node: NodeIx,
        /// Whose life.
        of: NodeIx,
    },
    /// Freezes processes: a garbage collection, a stopped container.
    Freeze {
        /// Which.
        nodes: Vec<NodeIx>,
        /// For how long (ms).
        for_ms: u64,
    },
    /// Suspends machines: a crash that keeps its memory, the monotonic clock standing still.
    Suspend {
        /// Which.
        nodes: Vec<NodeIx>,
        /// For how long (ms).
        for_ms: u64,
    },
    /// Makes machines take this long over every message.
    Slow {
        /// Which.
        nodes: Vec<NodeIx>,
        /// How long (ms); 0: quick again.
        by_ms: u64,
    },
    /// Does something to clocks.
    Clock {
        /// Whose.
        nodes: Vec<NodeIx>,
        /// The wall clock jumps by this much (ms).
        #[serde(default, skip_serializing_if = "super::is_default")]
        jump_ms: i64,
        /// From now on both clocks run this much faster (millionths).
        #[serde(default, skip_serializing_if = "super::is_default")]
        drift_ppm: i64,
    },
    /// The machine of one node runs its next processes under the name of another.
    Impersonate {
        /// Whose machine.
        node: NodeIx,
        /// Whose name.
        name_of: NodeIx,
    },
    /// The next processes of these machines speak this wire version.
    Wire {
        /// Which.
        nodes: Vec<NodeIx>,
        /// The version.
        version: u16,
    },
    /// Lets a member lie: from now on its frames of one kind are rewritten on their way out.
    Tamper {
        /// Who lies.
        node: NodeIx,
        /// How; `off` ends it.
        how: Lie,
        /// To whom; to all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<NodeIx>,
    },
    /// A client creates a session.
    Create {
        /// Where.
        node: NodeIx,
        /// Its number in the run.
        session: u64,
        /// Who.
        #[serde(default, skip_serializing_if = "super::is_default")]
        client: u32,
        /// Its fields.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// Fields of this many bytes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        big: BTreeMap<String, usize>,
        /// Sliding time-to-live (ms).
        #[serde(default = "half_hour", skip_serializing_if = "is_half_hour")]
        ttl_ms: u64,
        /// Ends this long after its creation, touched or not (ms), instead of sliding.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_in_ms: Option<u64>,
        /// Longest life (ms); the cluster's maximum if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        life_ms: Option<u64>,
    },
    /// A client sets and removes fields.
    Set {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Who.
        #[serde(default, skip_serializing_if = "super::is_default")]
        client: u32,
        /// With the token of its last write.
        #[serde(default, skip_serializing_if = "super::is_default")]
        token: bool,
        /// Fields to set.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// Fields of this many bytes to set.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        big: BTreeMap<String, usize>,
        /// Fields to remove.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove: Vec<String>,
        /// Its thread read the clock this long (ms) before it got to write.
        #[serde(default, skip_serializing_if = "super::is_default")]
        stalled_ms: u64,
    },
    /// A client extends a session.
    Touch {
        /// Where.
        node: NodeIx,
        /// Which.
        session: u64,
        /// As that of `set`.
        #[serde(default, skip_serializing_if = "super::is_default")]
        stalled_ms: u64,
    },
    /// A client changes the time-to-live.
    Ttl {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Sliding (ms).
        ttl_ms: u64,
    },
    /// A client logs out.
    Destroy {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Also where the session is unknown.
        #[serde(default, skip_serializing_if = "super::is_default")]
        blind: bool,
    },
    /// A client logs in: from now on the session is a principal's. It is created where it is unknown.
    Login {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Whose it is from now on.
        principal: String,
        /// Sliding time-to-live of a new session (ms).
        #[serde(default = "half_hour", skip_serializing_if = "is_half_hour")]
        ttl_ms: u64,
    },
    /// Ends all sessions of a principal: those on other nodes as the revocation reaches them, unless their login had
    /// seen it.
    Revoke {
        /// Where.
        node: NodeIx,
        /// Whose.
        principal: String,
    },
    /// A client reads; the node asks its peers for what it does not know.
    Read {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Who.
        #[serde(default, skip_serializing_if = "super::is_default")]
        client: u32,
        /// With the token of its last write.
        #[serde(default, skip_serializing_if = "super::is_default")]
        token: bool,
    },
    /// A request begins: the adapter loads the session and keeps what it saw.
    Load {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Whose request.
        client: u32,
    },
    /// A request ends: the adapter saves what the client changed.
    Save {
        /// Where.
        node: NodeIx,
        /// Which session.
        session: u64,
        /// Whose request.
        client: u32,
        /// Fields it set.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// Fields it removed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove: Vec<String>,
    },
    /// Looks at nodes, and fails the run if they do not show this.
    Look {
        /// At which.
        nodes: Vec<NodeIx>,
        /// For which session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        /// Whether it is shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<bool>,
        /// Fields with these values.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// Fields that are not there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        absent: Vec<String>,
        /// Whether they serve.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ready: Option<bool>,
        /// Records held, tombstones included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        records: Option<u64>,
        /// Members each believes alive, itself not counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alive: Option<Vec<NodeIx>>,
    },
}

fn half_hour() -> u64 {
    1_800_000
}

fn is_half_hour(ms: &u64) -> bool {
    *ms == half_hour()
}

/// `at_ms` and exactly one action, by its name. By hand: a derived `flatten` would accept unknown keys and lose
/// the place of every error.
impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StepVisitor;
        impl<'de> Visitor<'de> for StepVisitor {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at_ms and one action")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
                let (mut at_ms, mut action, mut first) = (None, None, String::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key == "at_ms" {
                        at_ms = Some(map.next_value()?);
                    } else if action.is_some() {
                        return Err(de::Error::custom(format!(
                            "two actions in one step: `{first}` and `{key}`"
                        )));
                    } else {
                        first.clone_from(&key);
                        action = Some(Action::deserialize(Named { key, map: &mut map })?);
                    }
                }
                let at_ms = at_ms.ok_or_else(|| de::Error::missing_field("at_ms"))?;
                let action = action.ok_or_else(|| de::Error::custom("a step without an action"))?;
                Ok(Step { at_ms, action })
            }
        }
        deserializer.deserialize_map(StepVisitor)
    }
}

/// A map entry as an enum: its key names the variant.
struct Named<'m, A> {
    key: String,
    map: &'m mut A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Named<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, 'm, A: MapAccess<'de>> EnumAccess<'de> for Named<'m, A> {
    type Error = A::Error;
    type Variant = Body<'m, A>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), A::Error> {
        let name = seed.deserialize(self.key.into_deserializer())?;
        Ok((name, Body(self.map)))
    }
}

struct Body<'m, A>(&'m mut A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Body<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.next_value()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(AsMap(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(AsMap(visitor))
    }
}

struct AsMap<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for AsMap<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}
