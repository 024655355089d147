//! What is done with an account beside credits: the one way there for all calls.

use tonic::Status;

use super::{Api, by::Caller, status::refused};
use crate::charging::{Command, ManageCommand};

impl Api {
    /// Has something done with an account by a call. True = it had been done before by this request id.
    pub(super) async fn manage(
        &self,
        caller: &Caller,
        method: &'static str,
        command: ManageCommand<'_>,
    ) -> Result<bool, Status> {
        self.check_journal()?;
        let (account, request_id, reason) = (command.account, command.request_id, command.reason);
        let done = self.by(caller, method, reason).account_command(account, &Command::Manage(command));
        let done = self.durable(done).await?.map_err(|refusal| refused(&refusal))?;
        if !done.repeated {
            tracing::info!(account = account.0, request_id, reason, method, "account changed");
        }
        Ok(done.repeated)
    }
}
