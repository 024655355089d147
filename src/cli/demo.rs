//! The demo: a node of its own, a simulated gateway, and a story in which every step is checked.

mod story;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use crate::{
    app::Node,
    cli::{OutputClosed, say},
    config::{Config, Endpoint, Listen, SystemEnvironment},
};

/// The demo's configuration and price list are part of the program, so that it runs anywhere.
const CONFIG: &str = include_str!("../../config/demo/tollgate.toml");
const CATALOG: &str = include_str!("../../config/demo/catalog.toml");

/// Plays a whole charging story against a server of its own.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// End after the story: with 0 if every step was as told, else with 1.
    #[arg(long)]
    pub once: bool,
    /// Listen on free ports instead of the default ones.
    #[arg(long)]
    pub any_port: bool,
}

/// Runs the demo.
///
/// # Errors
/// The node could not start, or a step was not as told.
pub async fn run(options: DemoOptions) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let node = Node::start(configuration(&scratch.0, &options)?).await?;
    let diameter = *node.diameter.first().context("the node listens nowhere")?;
    let played = play(&node, diameter, options.once).await;
    // In order, however the story ended: also when nobody listens to it any more.
    node.stop().await?;
    played
}

async fn play(node: &Node, diameter: SocketAddr, once: bool) -> anyhow::Result<()> {
    let subscribers = node.store.totals().accounts;
    say(format_args!(
        "Tollgate demo: a server with {subscribers} subscribers, and a gateway that speaks Diameter to it."
    ))?;
    if let Err(error) = story::tell(diameter, node.grpc).await {
        if !error.is::<OutputClosed>() {
            say(format_args!("\nThis was not as told: {error:#}"))?;
        }
        return Err(error);
    }
    node.store.check().context("the balance identity")?;
    say("\nEvery step was as told, and over all accounts credits less debits are what the accounts hold.")?;
    if !once {
        say_addresses(node, diameter)?;
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal?,
            reason = node.failed() => anyhow::bail!("{reason}"),
        }
    }
    Ok(())
}

fn say_addresses(node: &Node, diameter: SocketAddr) -> anyhow::Result<()> {
    let (grpc, http) = (node.grpc, node.http);
    for line in [
        "\nIt stays up until Ctrl-C. Try it:".to_owned(),
        format!("  Diameter   {diameter}   (any Gy/Ro client; subscribers 8613900000000 to 8613900009999)"),
        format!("  gRPC       {grpc}   (server reflection is on)"),
        format!("  metrics    http://{http}/metrics   health: /healthz, /readyz"),
        format!("  cargo run --release -- account get 8613900000005 --server http://{grpc}"),
        format!("  cargo run --release -- topup 8613900000005 10.00 --server http://{grpc}"),
        format!("  cargo run --release -- load --target {diameter} --duration 5"),
    ] {
        say(line)?;
    }
    Ok(())
}

/// The demo's configuration, with its store in a scratch directory and ports that are free.
fn configuration(scratch: &Path, options: &DemoOptions) -> anyhow::Result<Config> {
    let catalog = scratch.join("catalog.toml");
    std::fs::write(&catalog, CATALOG).with_context(|| format!("writing {}", catalog.display()))?;
    let mut config = Config::parse(CONFIG, Some(&scratch.join("tollgate.toml")), &SystemEnvironment)?;
    config.catalog.file = catalog;
    config.store.directory = scratch.join("data");
    config.records.enabled = true;
    let port = |address: SocketAddr| {
        let taken = options.any_port || std::net::TcpListener::bind(address).is_err();
        if taken { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) } else { address }
    };
    let endpoint = |at: &Endpoint| Endpoint { address: port(at.address), ..*at };
    config.diameter.listen = Listen::Many(config.diameter.listen.endpoints().iter().map(endpoint).collect());
    config.grpc.listen = port(config.grpc.listen);
    config.http.listen = port(config.http.listen);
    Ok(config)
}

/// A directory that goes when the demo does.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tollgate-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A scratch directory that stays behind does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
