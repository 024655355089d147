//! Verbs of the binary that are clients of the API, and the check of configuration and catalog.

mod account;
mod audit;
mod balance;
mod bulk;
mod catalog;
pub mod check;
mod client;
pub mod copy;
pub mod demo;
mod events;
mod explain;
pub mod gateway;
mod history;
pub mod journal;
mod json;
mod member;
mod output;
mod price;
mod product;
mod records;
mod session;
#[cfg(test)]
mod tests;
mod trail;
mod voucher;
mod what_if;
mod who;

use std::io;

use clap::{Args, Subcommand};

pub use self::{
    account::{AccountVerb, SubscriberVerb},
    audit::AuditVerb,
    balance::{Adjust, AllowanceVerb, TopUp, Transfer},
    bulk::BulkVerb,
    catalog::{CatalogVerb, Running},
    client::{Connection, DEFAULT_SERVER},
    events::EventsVerb,
    explain::Explain,
    history::History,
    member::MemberVerb,
    output::{OutputClosed, complain, say},
    price::Price,
    product::ProductVerb,
    records::RecordsVerb,
    session::SessionVerb,
    voucher::VoucherVerb,
    who::Who,
};
use self::{client::Client, output::Output};

/// Verbs that ask a running server.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Look at accounts, create them, change their state
    Account(Verbs<AccountVerb>),
    /// Add subscribers to accounts
    Subscriber(Verbs<SubscriberVerb>),
    /// Members of shared accounts: their terms, what they have and took
    Member(Verbs<MemberVerb>),
    /// Add money to an account
    #[command(name = "topup", allow_missing_positional = true)]
    TopUp(Verb<TopUp>),
    /// Give or take money by an operator's decision
    #[command(allow_missing_positional = true)]
    Adjust(Verb<Adjust>),
    /// Send money from one account to another
    Transfer(Verb<Transfer>),
    /// Give allowances (bundles of units) to accounts
    Allowance(Verbs<AllowanceVerb>),
    /// Vouchers: make them, redeem them, block a batch
    Voucher(Verbs<VoucherVerb>),
    /// Many changes at once: submit a file of them, approve what somebody else has submitted
    Bulk(Verbs<BulkVerb>),
    /// Products: what is sold, and buying, changing and cancelling it for accounts
    Product(Verbs<ProductVerb>),
    /// Look at running sessions, have them re-authorised or ended
    Session(Verbs<SessionVerb>),
    /// Follow business events, acknowledge them, forget a consumer
    Events(Verbs<EventsVerb>),
    /// What an account was charged and credited, and why
    History(Verb<History>),
    /// How charges came about, with the arithmetic, worked out again from the journal's facts
    Explain(Verb<Explain>),
    /// What usage would cost
    Price(Verb<Price>),
    /// Check, publish, list, show, withdraw and compare versions of the price list
    Catalog(Verbs<CatalogVerb>),
    /// Usage records (CDRs): list them, add them up
    Records(Verbs<RecordsVerb>),
    /// Who changed what: list it, verify the trail
    Audit(Verbs<AuditVerb>),
}

/// A verb, and whom it asks.
#[derive(Debug, Args)]
pub struct Verb<V: Args> {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    verb: V,
}

/// One of several verbs about one thing, and whom it asks.
#[derive(Debug, Args)]
pub struct Verbs<V: Subcommand> {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    verb: V,
}

/// Runs a verb and writes its result to standard output.
///
/// # Errors
/// The server cannot be reached or refused, with its status code and message.
pub async fn run(command: AdminCommand) -> anyhow::Result<()> {
    run_to(command, &mut io::stdout().lock()).await
}

/// Runs a verb and writes its result to `out`.
///
/// # Errors
/// As [`run`].
pub async fn run_to(command: AdminCommand, out: &mut dyn io::Write) -> anyhow::Result<()> {
    output::unless_closed(dispatch(command, out).await)
}

async fn dispatch(command: AdminCommand, out: &mut dyn io::Write) -> anyhow::Result<()> {
    use AdminCommand as C;
    macro_rules! ask {
        ($command:expr, $run:path) => {{
            let client = Client::connect(&$command.connection).await?;
            $run(&client, $command.verb, &mut Output::new(out, $command.connection.json)).await
        }};
    }
    match command {
        C::Account(command) => ask!(command, account::run),
        C::Subscriber(command) => ask!(command, account::run_subscriber),
        C::Member(command) => ask!(command, member::run),
        C::TopUp(command) => ask!(command, balance::top_up),
        C::Adjust(command) => ask!(command, balance::adjust),
        C::Transfer(command) => ask!(command, balance::transfer),
        C::Allowance(command) => ask!(command, balance::allowance),
        C::Voucher(command) => ask!(command, voucher::run),
        C::Bulk(command) => ask!(command, bulk::run),
        C::Product(command) => ask!(command, product::run),
        C::Session(command) => ask!(command, session::run),
        C::Events(command) => ask!(command, events::run),
        C::History(command) => ask!(command, history::run),
        C::Explain(command) => ask!(command, explain::run),
        C::Price(command) => ask!(command, price::run),
        C::Catalog(command) => ask!(command, catalog::run),
        // These may read files instead of asking anyone.
        C::Records(Verbs { connection, verb }) => {
            records::run(&connection, verb, &mut Output::new(out, connection.json)).await
        }
        C::Audit(Verbs { connection, verb }) => {
            audit::run(&connection, verb, &mut Output::new(out, connection.json)).await
        }
    }
}
