//! `sessionmesh demo`: a mesh of real processes on this machine, and a small shop on each.
//!
//! * [`node`]: the process that can be killed: a mesh node and a shop. * `fleet`, `child`: the parent's hold on
//!   them. * `control`, `survey`, `live`: what the page may ask and the terminal shows. * `once`: the promise in
//!   one act. * `check`: all promises, each proved or broken. * `page/`: the shop's page.

mod ask;
mod check;
mod child;
mod control;
mod fleet;
mod live;
mod node;
mod once;
mod ports;
mod shopper;
mod survey;
mod token;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use fleet::Fleet;
use live::Screen;
pub use node::{DemoNodeArgs, run_node};
use survey::Survey;

/// What `sessionmesh demo` can be told.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=9))]
    nodes: u8,
    /// Port of the first shop, the others follow; 0 takes any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Break everything that can be broken, check every promise, and end. Always three nodes.
    #[arg(long)]
    check: bool,
    /// With --check: shorter waits for what must not happen.
    #[arg(long, requires = "check")]
    quick: bool,
}

/// Runs the demo until Ctrl-C, or the check until its end. No node outlives it.
pub async fn run(args: DemoArgs) -> ExitCode {
    match run_until_told(args).await {
        Ok(code) => code,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run_until_told(args: DemoArgs) -> Result<ExitCode, String> {
    let told = told_to_stop()?;
    let count = if args.check { check::NODES } else { usize::from(args.nodes) };
    let (listener, control) = control::bind().await?;
    let fleet = Arc::new(Fleet::plan(count, args.port, token::Tokens::fresh()?, Some(control))?);
    let work = async {
        if args.check {
            return Ok(check::run(&fleet, args.quick).await);
        }
        live(&fleet, listener).await.map(|()| ExitCode::SUCCESS)
    };
    let result = tokio::select! {
        result = work => result,
        () = told => Ok(ExitCode::SUCCESS),
    };
    fleet.stop().await;
    result
}

fn told_to_stop() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|e| format!("cannot listen for signals: {e}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}

async fn live(fleet: &Arc<Fleet>, listener: tokio::net::TcpListener) -> Result<(), String> {
    let screen = Arc::new(Screen::new());
    let begun = Instant::now();
    screen.say(&format!("starting {} nodes on this machine", fleet.places.len()));
    fleet.launch().await?;
    screen.say(&format!("all serve after {} ms", begun.elapsed().as_millis()));
    show_one_kill(fleet, &screen).await?;
    screen.say("\nThe shop, on every node. Log in on one, go on at any other:");
    for place in &fleet.places {
        screen.say(&format!("  {}", place.url()));
    }
    screen.say("\nWhat each node sees of the mesh, its dashboard. Cut or kill one in the shop and watch:");
    for place in &fleet.places {
        screen.say(&format!("  http://{}{}/", place.shop, node::DASHBOARD_PATH));
    }
    screen.say("");
    let (tell, survey) = tokio::sync::watch::channel(Survey::default());
    tokio::spawn(control::serve(listener, Arc::clone(fleet), survey.clone()));
    let announce = Arc::clone(&screen);
    tokio::join!(
        survey::watch_fleet(Arc::clone(fleet), tell, move |text| announce.say(&text)),
        screen.show(survey)
    );
    Ok(())
}

async fn show_one_kill(fleet: &Fleet, screen: &Screen) -> Result<(), String> {
    let (victim, reader) = (0, 1);
    let (a, b) = (&fleet.places[victim].name, &fleet.places[reader].name);
    let kill = once::kill_after_answer(fleet, victim, reader).await?;
    screen.say(&format!("logged in and filled a cart on node {a}: {} ms", kill.shopping.as_millis()));
    screen.say(&format!("killed node {a} (SIGKILL) right after its answer"));
    screen.say(&format!(
        "still logged in on node {b}, cart and all: {} ms after the kill",
        kill.seen.as_millis()
    ));
    kill.shopper.logout(fleet.places[reader].shop).await?;
    let begun = Instant::now();
    fleet.restart(victim).await?;
    fleet.until_ready(victim).await?;
    screen.say(&format!(
        "node {a} is back, empty-handed, and has everything again: {} ms",
        begun.elapsed().as_millis()
    ));
    Ok(())
}
