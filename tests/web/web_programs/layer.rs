//! Programs of random browsers, run on the layer: one node by itself, and three with cuts.

use std::sync::Arc;
use std::time::Duration;

use sessionmesh::transport::Drill;
use sessionmesh::web::axum::SessionLayer;
use sessionmesh::{Builder, Mesh};

use super::front::App;
use super::program::{Program, Rules};
use crate::kit::*;

fn apps(meshes: &[Mesh], rules: Rules) -> Vec<Arc<dyn App>> {
    let configure = |layer: SessionLayer| match rules.no_grace {
        true => layer.with_rotation_grace(Duration::ZERO),
        false => layer,
    };
    meshes.iter().map(|mesh| Arc::new(app(mesh, configure)) as Arc<dyn App>).collect()
}

/// Runs so many programs on a node by itself.
pub async fn on_one_node(programs: u64, rules: Rules) {
    let narrow = |builder: Builder| match rules.fills {
        true => builder.configure(|c| c.max_record_bytes = 1024),
        false => builder,
    };
    let mesh = alone_with("programs", narrow).await;
    for seed in 0..programs {
        let program = Program::new(seed, apps(std::slice::from_ref(&mesh), rules), rules);
        program.run_on_one_node(40, |user| mesh.sessions().logins(user).len()).await;
    }
}

/// Runs so many programs on three nodes that are cut from each other now and then.
pub async fn across_cuts(programs: u64) {
    let drill = Drill::new(1);
    let with = |b: Builder| b.drill(drill.clone()).ack_timeout(Duration::from_millis(5));
    let meshes = linked_with("cut-programs", with).await;
    for seed in 0..programs {
        let mut program = Program::new(1_000 + seed, apps(&meshes, Rules::default()), Rules::default());
        for step in 0..40 {
            // Shorter than what makes a link die: who is cut off does not hear, and does not know it either.
            match step % 10 {
                3 => cut(&drill, ["a", "b", "c"][step / 10 % 3], ["b", "c", "a"][step / 10 % 3]),
                8 => drill.heal_all(),
                _ => {}
            }
            program.step().await;
        }
        program.finish().await;
        drill.heal_all();
        agreed(&meshes).await;
        program.what_ended_shows_nobody().await;
    }
}

fn cut(drill: &Drill, one: &str, other: &str) {
    drill.cut(one, other);
    drill.cut(other, one);
}

/// Waits until every node holds what each of them wrote last.
async fn agreed(meshes: &[Mesh]) {
    // What ended by what arrived is ended as it is looked at; its end comes with the next push.
    for mesh in [meshes, meshes].concat() {
        let marker = mesh.sessions().create(sessionmesh::Expiry::sliding(CEILING), |_| Ok(())).unwrap();
        within("every node has it", marker.copies_within(meshes.len(), CEILING)).await.unwrap();
    }
}
