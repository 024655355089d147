//! `AuditService`.

use tonic::{Request, Response, Status};

use super::{
    Api,
    records::{blocking, moment, page},
    status::answered,
    v1::{self, audit_service_server::AuditService},
};
use crate::store::{AuditFilter, AuditLine};

#[tonic::async_trait]
impl AuditService for Api {
    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Result<Response<v1::ListAuditResponse>, Status> {
        answered("ListAudit", async {
            let request = request.into_inner();
            let trail = self.store.audit_trail().ok_or_else(not_written)?;
            let wanted = |text: String| Some(text).filter(|text| !text.is_empty());
            let filter = AuditFilter {
                from: moment("from_ms", request.from_ms)?,
                to: moment("to_ms", request.to_ms)?,
                name: wanted(request.name),
                method: wanted(request.method),
                target: wanted(request.target),
                refused: request.refused,
            };
            let (after, limit) = page(&request.page_token, request.page_size)?;
            let read = blocking(move || trail.page(&filter, after, limit)).await?;
            let (lines, more) = read.map_err(|error| Status::data_loss(error.to_string()))?;
            let next_page_token = lines.last().filter(|_| more).map_or_else(String::new, |last| last.cursor.clone());
            Ok(v1::ListAuditResponse { entries: lines.into_iter().map(entry).collect(), next_page_token })
        })
        .await
    }

    async fn get_audit_head(
        &self,
        _: Request<v1::GetAuditHeadRequest>,
    ) -> Result<Response<v1::GetAuditHeadResponse>, Status> {
        answered("GetAuditHead", async {
            self.store.audit_trail().ok_or_else(not_written)?;
            let (line, hash) = self.store.audit_head();
            Ok(v1::GetAuditHeadResponse { line, hash })
        })
        .await
    }
}

fn not_written() -> Status {
    Status::failed_precondition("the audit trail is written to no files: see [audit] in the configuration")
}

/// A line of the files as a message.
pub fn entry(line: AuditLine) -> v1::AuditEntry {
    v1::AuditEntry {
        cursor: line.cursor,
        line: line.line,
        at: line.at,
        name: line.name,
        role: line.role,
        address: line.address,
        method: line.method,
        target: line.target,
        reason: line.reason,
        refusal: line.refusal,
        before: line.before.to_string(),
        after: line.after.to_string(),
        prev: line.prev,
        hash: line.hash,
        approved_by: line.approved_by,
        bulk: line.bulk,
    }
}
