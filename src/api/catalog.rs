//! `CatalogService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    Api, access,
    by::Caller,
    convert::{REASON_CHARS_MAX, kind_of, millis, money_of, name, optional_reason, page_size, text},
    status::{answered, invalid, not_found, publish_refused},
    v1::{self, catalog_service_server::CatalogService, validate_catalog_response},
    what_if::WhatIfStream,
};
use crate::{
    rating::{self, Catalog, Catalogs, Problem, Publication, Version},
    store::{Publish, Published},
    time::Timestamp,
};

/// Characters of a Service-Context-Id: Diameter allows more, nobody has more.
const CONTEXT_CHARS_MAX: usize = 256;
/// Versions of one page.
const PAGE_SIZE_MAX: usize = 500;
/// Versions of a page whose size is not said.
const PAGE_SIZE: usize = 50;

#[tonic::async_trait]
impl CatalogService for Api {
    type WhatIfStream = WhatIfStream;

    async fn what_if(&self, request: Request<v1::WhatIfRequest>) -> Result<Response<WhatIfStream>, Status> {
        answered("WhatIf", self.begin_what_if(request.into_inner())).await
    }

    async fn validate_catalog(
        &self,
        request: Request<v1::ValidateCatalogRequest>,
    ) -> Result<Response<v1::ValidateCatalogResponse>, Status> {
        answered("ValidateCatalog", async {
            let problems = compiled(request.into_inner().toml).await?.err().unwrap_or_default();
            let problem =
                |Problem { line, column, message }| validate_catalog_response::Problem { line, column, message };
            Ok(v1::ValidateCatalogResponse { problems: problems.into_iter().map(problem).collect() })
        })
        .await
    }

    async fn publish_catalog(
        &self,
        request: Request<v1::PublishCatalogRequest>,
    ) -> Result<Response<v1::PublishCatalogResponse>, Status> {
        let caller = Caller::of(&request);
        answered("PublishCatalog", async {
            let Published { publication, repeated } = self.publish(request.into_inner(), caller).await?;
            Ok(v1::PublishCatalogResponse { version: Some(self.told(&publication)), repeated })
        })
        .await
    }

    async fn list_catalogs(
        &self,
        request: Request<v1::ListCatalogsRequest>,
    ) -> Result<Response<v1::ListCatalogsResponse>, Status> {
        answered("ListCatalogs", async { self.list_versions(request.get_ref()).await }).await
    }

    async fn get_catalog(
        &self,
        request: Request<v1::GetCatalogRequest>,
    ) -> Result<Response<v1::GetCatalogResponse>, Status> {
        answered("GetCatalog", async {
            let publication = self.publication("number", request.get_ref().number).await?;
            let toml = publication.text.to_string();
            Ok(v1::GetCatalogResponse { version: Some(self.told(&publication)), toml })
        })
        .await
    }

    async fn withdraw_catalog(
        &self,
        request: Request<v1::WithdrawCatalogRequest>,
    ) -> Result<Response<v1::WithdrawCatalogResponse>, Status> {
        answered("WithdrawCatalog", async {
            self.check_journal()?;
            let v1::WithdrawCatalogRequest { number, reason } = request.get_ref();
            let (number, reason) = (*number, optional_reason(reason)?);
            let done = self
                .durable(self.by(&Caller::of(&request), "WithdrawCatalog", reason).withdraw(number))
                .await?
                .map_err(|error| publish_refused(&error))?;
            if !done.repeated {
                tracing::info!(version = number, by = %access::caller(&request)?.name, "catalog withdrawn");
            }
            Ok(v1::WithdrawCatalogResponse { version: Some(self.told(&done.publication)) })
        })
        .await
    }

    async fn diff_catalog(
        &self,
        request: Request<v1::DiffCatalogRequest>,
    ) -> Result<Response<v1::DiffCatalogResponse>, Status> {
        answered("DiffCatalog", async {
            let v1::DiffCatalogRequest { from, to } = *request.get_ref();
            let (from, to) = (self.publication("from", from).await?, self.publication("to", to).await?);
            let numbers = (from.number, to.number);
            let differences = tokio::task::spawn_blocking(move || rating::differences(&from.text, &to.text)).await;
            let differences = differences.map_err(|_| Status::internal("the catalogs could not be compared"))?;
            Ok(v1::DiffCatalogResponse { from: numbers.0, to: numbers.1, differences })
        })
        .await
    }

    async fn price(&self, request: Request<v1::PriceRequest>) -> Result<Response<v1::PriceResponse>, Status> {
        answered("Price", async {
            let catalogs = self.store.catalogs();
            price(self.version_asked(&catalogs, request.get_ref())?, request.get_ref())
        })
        .await
    }
}

/// Compiles a text. A large catalog takes a while, and this thread has other calls to serve.
pub(super) async fn compiled(toml: String) -> Result<Result<Catalog, Vec<Problem>>, Status> {
    let compiled = tokio::task::spawn_blocking(move || Catalog::from_toml(&toml)).await;
    compiled.map_err(|_| Status::internal("the catalog could not be checked"))
}

/// Every mistake, a line each.
pub(super) fn no_catalog(problems: &[Problem]) -> Status {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    invalid("toml", lines.join("\n"))
}

impl Api {
    async fn publish(&self, request: v1::PublishCatalogRequest, caller: Caller) -> Result<Published, Status> {
        use v1::RunningSessions as Wire;
        self.check_journal()?;
        let sessions = match request.running_sessions() {
            Wire::Finish => rating::RunningSessions::Finish,
            Wire::Change => rating::RunningSessions::Change,
            Wire::Unspecified => return Err(invalid("running_sessions", "must be FINISH or CHANGE")),
        };
        let activates = match request.activate_at_ms {
            0 => None,
            at => Some(moment("activate_at_ms", at)?),
        };
        let request_id = name("request_id", &request.request_id)?.into();
        let reason: Box<str> = text("reason", &request.reason, REASON_CHARS_MAX)?.into();
        let by = caller.name().into();
        let catalog = compiled(request.toml).await?.map_err(|problems| no_catalog(&problems))?;
        self.fitness.check(&catalog).map_err(|why| Status::failed_precondition(format!("toml: {why}")))?;
        let publish = Publish { catalog: Arc::new(catalog), activates, sessions, by, reason, request_id };
        // A publication that drops old versions looks at every session.
        let (api, why) = (self.clone(), publish.reason.clone());
        let pending =
            tokio::task::spawn_blocking(move || api.by(&caller, "PublishCatalog", &why).publish(publish)).await;
        let pending = pending.map_err(|_| Status::internal("the catalog could not be published"))?;
        let done = self.durable(pending).await?.map_err(|error| publish_refused(&error))?;
        if !done.repeated {
            let Publication { number, activates, sessions, by, reason, .. } = &*done.publication;
            tracing::info!(version = number, %activates, ?sessions, %by, %reason, "catalog published");
        }
        Ok(done)
    }

    async fn list_versions(&self, request: &v1::ListCatalogsRequest) -> Result<v1::ListCatalogsResponse, Status> {
        let limit = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
        let before = match request.page_token.as_str() {
            "" => u32::MAX,
            token => token.parse().map_err(|_| invalid("page_token", "is not one that was given out"))?,
        };
        let catalogs = self.durable(self.store.published()).await?;
        let older = || catalogs.publications().iter().rev().filter(|known| known.number < before);
        let page: Vec<_> = older().take(limit).collect();
        let next = page.last().filter(|_| older().nth(limit).is_some());
        Ok(v1::ListCatalogsResponse {
            versions: page.iter().map(|publication| self.told(publication)).collect(),
            next_page_token: next.map_or_else(String::new, |last| last.number.to_string()),
        })
    }

    /// What was published under a number; 0 is what is in force.
    async fn publication(&self, field: &str, number: u32) -> Result<Arc<Publication>, Status> {
        let catalogs = self.durable(self.store.published()).await?;
        let found = match number {
            0 => Some(&catalogs.at(self.store.clock().now()).publication),
            number => catalogs.publication(number),
        };
        found.cloned().ok_or_else(|| unknown(field, number))
    }

    /// The version that a price is asked for by.
    fn version_asked<'c>(&self, catalogs: &'c Catalogs, request: &v1::PriceRequest) -> Result<&'c Version, Status> {
        match (request.catalog_version, request.catalog_at_ms) {
            (0, 0) => Ok(catalogs.at(self.store.clock().now())),
            (0, at) => Ok(catalogs.at(moment("catalog_at_ms", at)?)),
            (number, 0) => catalogs.get(number).ok_or_else(|| unknown("catalog_version", number)),
            _ => Err(invalid("catalog_at_ms", "is not asked for together with catalog_version")),
        }
    }

    fn told(&self, publication: &Publication) -> v1::CatalogVersion {
        use v1::catalog_version::State;
        let now = self.store.clock().now();
        let in_force = || self.store.catalogs().at(now).number() == publication.number;
        let state = match publication.withdrawn {
            Some(_) => State::Withdrawn,
            None if publication.is_pending(now) => State::Pending,
            None if in_force() => State::InForce,
            None => State::Superseded,
        };
        let sessions = match publication.sessions {
            rating::RunningSessions::Finish => v1::RunningSessions::Finish,
            rating::RunningSessions::Change => v1::RunningSessions::Change,
        };
        v1::CatalogVersion {
            number: publication.number,
            state: state.into(),
            published_at_ms: millis(publication.published),
            activates_at_ms: millis(publication.activates),
            running_sessions: sessions.into(),
            published_by: publication.by.to_string(),
            reason: publication.reason.to_string(),
            request_id: publication.request_id.to_string(),
            withdrawn_at_ms: publication.withdrawn.map_or(0, millis),
        }
    }
}

fn unknown(field: &str, number: u32) -> Status {
    not_found(field, format_args!("there is no catalog version {number}, or it is no longer kept"))
}

fn moment(field: &str, millis: i64) -> Result<Timestamp, Status> {
    u64::try_from(millis).map(Timestamp::from_millis).map_err(|_| invalid(field, "must not be negative"))
}

fn price(version: &Version, request: &v1::PriceRequest) -> Result<v1::PriceResponse, Status> {
    let catalog = &version.catalog;
    let name = text("service_context_id", &request.service_context_id, CONTEXT_CHARS_MAX)?;
    let context = catalog
        .context(name)
        .ok_or_else(|| not_found("service_context_id", format_args!("the catalog has no context for `{name}`")))?;
    let service = catalog.service(context, request.rating_group, request.service_identifier);
    let service = service.ok_or_else(|| {
        not_found("rating_group", format_args!("no service of this context has these keys, and it has no fallback"))
    })?;
    let before = request.units_before;
    let after = before.checked_add(request.units).ok_or_else(|| invalid("units", "and units_before are too many"))?;
    let price = match request.tariff.as_str() {
        "" => &service.price,
        name => service.tariff_by_name(name).map(|tariff| &tariff.price).ok_or_else(|| {
            let known: Vec<&str> = service.tariffs().iter().map(|tariff| &*tariff.name).collect();
            not_found("tariff", format_args!("{} has no such tariff; it has [{}]", service.name, known.join(", ")))
        })?,
    };
    let cost = price.charge(before, after).map_err(|overflow| Status::out_of_range(overflow.to_string()))?;
    let currency = catalog.currency();
    Ok(v1::PriceResponse {
        price: Some(money_of(cost, currency)),
        kind: kind_of(service.kind).into(),
        service: service.name.to_string(),
        explanation: price.explain(before, after, currency),
        catalog_version: version.number(),
    })
}
