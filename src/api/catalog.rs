//! `CatalogService`.

use tonic::{Request, Response, Status};

use super::{
    Api,
    convert::{kind_of, money_of},
    status::{answered, invalid, not_found},
    v1::{self, catalog_service_server::CatalogService, validate_catalog_response::Problem},
};
use crate::rating::Catalog;

/// Characters of a Service-Context-Id: Diameter allows more, nobody has more.
const CONTEXT_CHARS_MAX: usize = 256;

#[tonic::async_trait]
impl CatalogService for Api {
    async fn validate_catalog(
        &self,
        request: Request<v1::ValidateCatalogRequest>,
    ) -> Result<Response<v1::ValidateCatalogResponse>, Status> {
        answered("ValidateCatalog", async {
            let toml = request.into_inner().toml;
            // A large catalog takes a while, and this thread has other calls to serve.
            let problems = tokio::task::spawn_blocking(move || Catalog::from_toml(&toml).err().unwrap_or_default());
            let problems = problems.await.map_err(|_| Status::internal("the catalog could not be checked"))?;
            let problem = |problem: crate::rating::Problem| Problem {
                line: problem.line,
                column: problem.column,
                message: problem.message,
            };
            Ok(v1::ValidateCatalogResponse { problems: problems.into_iter().map(problem).collect() })
        })
        .await
    }

    async fn price(&self, request: Request<v1::PriceRequest>) -> Result<Response<v1::PriceResponse>, Status> {
        answered("Price", async { price(self.store.catalog(), request.get_ref()) }).await
    }
}

fn price(catalog: &Catalog, request: &v1::PriceRequest) -> Result<v1::PriceResponse, Status> {
    let name = super::convert::text("service_context_id", &request.service_context_id, CONTEXT_CHARS_MAX)?;
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
    })
}
