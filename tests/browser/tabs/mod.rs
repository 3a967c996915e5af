//! What two tabs of one browser do to each other, in a real browser, over two nodes behind a load balancer: its jar is the
//! judge of which cookie an answer leaves. Slow requests wait at a gate until the test has seen what is to come before.

mod balancer;
mod site;

use std::time::Duration;

use crate::kit::{self, everywhere, value_everywhere};
use sessionmesh::Found;
use site::{Site, get_in, post_in};

const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Between a log-in and the look at its cookie (seconds); far from a week, and from the layer's half hour.
const SLACK_S: f64 = 600.0;

/// A site whose browser has a cart; the cart's cookie.
async fn with_a_cart(cluster: &str) -> Option<(Site, String)> {
    let site = Site::start(cluster, |layer| layer).await?;
    assert_eq!(post_in(&site.tabs[0], ["/a/set/cart/apples"]).await, [200]);
    let cookie = site.cookie().await;
    site.there(kit::id_of_cookie(&cookie)).await;
    Some((site, cookie))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_both_halves_of_a_double_click_on_log_in() {
    let Some((site, _)) = with_a_cart("tabs-double-click").await else { return };
    let [one, two] = &site.tabs;
    // Both are sent before either answer comes.
    let opened = async {
        for app in &site.apps {
            app.loaded().await;
        }
        site.apps.iter().for_each(kit::Client::open);
    };
    let (both, ()) = tokio::join!(post_in(one, ["/a/slow-login/ada", "/b/slow-login/ada"]), opened);
    assert_eq!(both, [200, 200]);
    assert_eq!(site.cookies().len(), 3, "the cart's, and one of each log-in");
    assert_eq!(get_in(one, "/b/get/cart").await, "apples", "whichever it is");
    assert_eq!(get_in(two, "/a/whose").await, "ada");
    assert_eq!(post_in(two, ["/a/logout"]).await, [200]);
    assert_eq!(site.jar().await, None, "the cookie goes");
    site.gone(&site.cookies()).await;
    site.nobody_is_logged_in().await;
    site.browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_puts_no_cookie_back_that_the_other_tab_has_rotated() {
    let Some((site, old)) = with_a_cart("tabs-rotation").await else { return };
    let [one, two] = &site.tabs;
    let rotated = async {
        site.apps[0].loaded().await;
        assert_eq!(post_in(two, ["/b/rotate"]).await, [200]);
        let new = site.cookie().await;
        assert_ne!(kit::key_of_cookie(&new), kit::key_of_cookie(&old));
        site.superseded(&old).await;
        site.apps[0].open();
        new
    };
    let (slow, new) = tokio::join!(post_in(one, ["/a/slow/coupon/ten"]), rotated);
    assert_eq!(slow, [200], "it is still good for what was under way");
    assert_eq!(site.cookie().await, new, "the jar keeps the new one");
    let id = site.session().await;
    value_everywhere(&site.meshes, id, "coupon", Some("ten")).await;
    for tab in [one, two] {
        for node in ["a", "b"] {
            assert_eq!(get_in(tab, &format!("/{node}/get/coupon")).await, "ten");
            assert_eq!(get_in(tab, &format!("/{node}/get/cart")).await, "apples", "the session goes on");
        }
    }
    site.browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_write_brings_no_session_back_that_the_other_tab_has_ended() {
    for heard in [true, false] {
        let Some((site, _)) = with_a_cart("tabs-logout").await else { return };
        let [one, two] = &site.tabs;
        assert_eq!(post_in(one, ["/a/login/ada"]).await, [200]);
        site.there(site.session().await).await;
        let out = async {
            site.apps[0].loaded().await;
            if !heard {
                site.drill.cut("a", "b");
                site.drill.cut("b", "a");
            }
            let ended = site.cookies();
            assert_eq!(post_in(two, ["/b/logout"]).await, [200]);
            assert_eq!(site.jar().await, None);
            if heard {
                site.gone(&ended).await;
            }
            site.apps[0].open();
        };
        let (slow, ()) = tokio::join!(post_in(one, ["/a/slow/coupon/ten"]), out);
        assert_eq!(slow, [if heard { 401 } else { 200 }], "heard of it: {heard}");
        assert_eq!(site.jar().await.is_some(), !heard, "a node that has not heard of it knows no better");
        site.drill.heal_all();
        site.gone(&site.cookies()).await;
        site.nobody_is_logged_in().await;
        assert_eq!(site.jar().await, None, "and once it has heard, the cookie goes");
        assert_eq!(get_in(one, "/b/get/coupon").await, "none");
        site.browser.close().await;
    }
}

/// The cart's write of the one tab: while the other's log-in runs on the same node, after it on the same, and on another
/// that has heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cart_written_beside_a_log_in_is_kept_or_refused() {
    let Some((site, _)) = with_a_cart("tabs-beside").await else { return };
    let [one, two] = &site.tabs;
    let during = async {
        site.apps[0].loaded().await;
        assert_eq!(post_in(one, ["/a/set/cart/bread"]).await, [200]);
        site.apps[0].open();
    };
    let (login, ()) = tokio::join!(post_in(two, ["/a/slow-login/ada"]), during);
    assert_eq!(login, [200]);
    assert_eq!(get_in(one, "/a/whose").await, "ada");
    assert_eq!(get_in(one, "/b/get/cart").await, "bread", "what was acknowledged came along");

    for login in ["/a/login/bob", "/b/login/eve"] {
        let before = site.cookie().await;
        let after = async {
            site.apps[0].loaded().await;
            assert_eq!(post_in(two, [login]).await, [200]);
            site.superseded(&before).await;
            site.apps[0].open();
        };
        let (slow, ()) = tokio::join!(post_in(one, ["/a/slow/cart/tea"]), after);
        assert_eq!(slow, [409], "{login}: it would be lost");
        let (_, user) = login.rsplit_once('/').unwrap();
        for node in ["a", "b"] {
            assert_eq!(get_in(one, &format!("/{node}/whose")).await, user, "the refusal took no cookie away");
            assert_eq!(get_in(one, &format!("/{node}/get/cart")).await, "bread");
        }
    }
    site.browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_tabs_put_into_the_cart_at_once_on_two_nodes_is_in_it() {
    let Some((site, _)) = with_a_cart("tabs-cart").await else { return };
    let [one, two] = &site.tabs;
    let both = async {
        for app in &site.apps {
            app.loaded().await;
        }
        site.apps.iter().for_each(kit::Client::open);
    };
    let (tea, bread, ()) =
        tokio::join!(post_in(one, ["/a/slow/tea/two"]), post_in(two, ["/b/slow/bread/one"]), both);
    assert_eq!((tea, bread), ([200], [200]));
    let id = site.session().await;
    for (key, value) in [("tea", "two"), ("bread", "one"), ("cart", "apples")] {
        value_everywhere(&site.meshes, id, key, Some(value)).await;
        for tab in [one, two] {
            for node in ["a", "b"] {
                assert_eq!(get_in(tab, &format!("/{node}/get/{key}")).await, value);
            }
        }
    }
    site.browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remember_me_as_a_first_write_gives_the_cookie_its_lifetime() {
    let Some(site) = Site::start("tabs-remember", |layer| layer.with_persistence(true)).await else { return };
    let [one, two] = &site.tabs;
    assert_eq!(post_in(one, ["/a/remember/ada"]).await, [200]);
    let (_, ends_s) = site.jar().await.unwrap();
    let now_s = site.meshes[0].sessions().wall_ms() as f64 / 1_000.0;
    let left_s = ends_s.expect("it outlives the browser") - now_s;
    assert!((left_s - A_WEEK.as_secs_f64()).abs() < SLACK_S, "{left_s} s");
    let id = site.session().await;
    let week = |found: &Found| match found {
        Found::Session(s) => (s.deadline_ms() as f64 / 1_000.0 - ends_s.unwrap_or(0.0)).abs() < SLACK_S,
        _ => false,
    };
    everywhere(&site.meshes, id, "a week", week).await;
    assert_eq!(get_in(two, "/b/whose").await, "ada");
    site.browser.close().await;
}
