//! Random requests of browsers with several tabs, against a small model of what a browser may see: `program`.

mod front;
pub mod layer;
pub mod program;

use layer::{across_cuts, on_one_node};
use program::Rules;

#[tokio::test]
async fn on_one_node_nothing_acknowledged_is_lost_and_nobody_is_shown_to_another() {
    on_one_node(150, Rules::default()).await;
}

#[tokio::test]
async fn without_a_grace_what_is_replaced_shows_nothing() {
    on_one_node(100, Rules { no_grace: true, ..Rules::default() }).await;
}

#[tokio::test]
async fn a_full_session_can_do_what_any_can() {
    on_one_node(50, Rules { fills: true, ..Rules::default() }).await;
}

#[tokio::test]
async fn across_cuts_a_logout_is_one_and_nobody_is_shown_to_another() {
    across_cuts(25).await;
}
