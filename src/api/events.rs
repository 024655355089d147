//! `EventService`: subscriptions, acknowledgements, consumers that are gone.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    Api,
    by::Caller,
    convert::{name, optional_reason},
    notices::event_of,
    status::{answered, not_found, too_old, unavailable},
    v1::{self, event_service_server::EventService},
};
use crate::{charging::Notice, ids::AccountId, store::CursorTooOld};

/// Events that wait for a slow subscriber; when they do, the outbox is read no further for it.
const SUBSCRIPTION_BUFFER: usize = 64;
/// Notices looked at in one go: one short hold of the outbox's lock.
const PAGE: usize = 256;
/// Consumers that are remembered. Events are kept for each, and it takes an operator to name a new one.
const CONSUMERS_MAX: usize = 64;

type Sender = mpsc::Sender<Result<v1::SubscribeResponse, Status>>;

#[tonic::async_trait]
impl EventService for Api {
    type SubscribeStream = ReceiverStream<Result<v1::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        answered("Subscribe", async {
            let subscription = self.subscription(request.get_ref())?;
            let (sender, receiver) = mpsc::channel(SUBSCRIPTION_BUFFER);
            tokio::spawn(feed(self.clone(), subscription, sender));
            Ok(ReceiverStream::new(receiver))
        })
        .await
    }

    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeRequest>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        answered("Acknowledge", async {
            self.check_journal()?;
            let request = request.get_ref();
            let consumer = name("consumer", &request.consumer)?;
            self.check_cursor("cursor", request.cursor)?;
            let outbox = self.store.outbox();
            if outbox.acknowledged(consumer).is_none() && outbox.consumers().len() >= CONSUMERS_MAX {
                let why = format!("consumer: {CONSUMERS_MAX} others are remembered, more is not possible");
                return Err(Status::resource_exhausted(why));
            }
            self.durable(self.store.acknowledge(consumer, request.cursor)).await?;
            Ok(v1::AcknowledgeResponse {})
        })
        .await
    }

    async fn forget_consumer(
        &self,
        request: Request<v1::ForgetConsumerRequest>,
    ) -> Result<Response<v1::ForgetConsumerResponse>, Status> {
        answered("ForgetConsumer", async {
            self.check_journal()?;
            let consumer = name("consumer", &request.get_ref().consumer)?;
            if self.store.outbox().acknowledged(consumer).is_none() {
                return Err(not_found("consumer", format_args!("`{consumer}` has never acknowledged anything")));
            }
            let (caller, reason) = (Caller::of(&request), optional_reason(&request.get_ref().reason)?);
            self.durable(self.by(&caller, "ForgetConsumer", reason).forget_consumer(consumer)).await?;
            tracing::info!(consumer, "consumer of events forgotten");
            Ok(v1::ForgetConsumerResponse {})
        })
        .await
    }
}

/// What one subscriber gets.
struct Subscription {
    cursor: u64,
    account: Option<AccountId>,
    /// Given back when the stream ends.
    _permit: OwnedSemaphorePermit,
}

impl Api {
    fn subscription(&self, request: &v1::SubscribeRequest) -> Result<Subscription, Status> {
        if let Some(fatal) = self.store.mark().fatal() {
            return Err(unavailable(&fatal));
        }
        let consumer = match request.consumer.as_str() {
            "" => None,
            consumer => Some(name("consumer", consumer)?),
        };
        let account = match &request.account {
            Some(account) => Some(self.resolve("account", Some(account))?),
            None => None,
        };
        let outbox = self.store.outbox();
        let cursor = match (request.after_cursor, consumer) {
            (Some(cursor), _) => {
                self.check_cursor("after_cursor", cursor)?;
                cursor
            }
            (None, Some(consumer)) => match outbox.acknowledged(consumer) {
                Some(cursor) => cursor,
                None => self.oldest_cursor(),
            },
            (None, None) => outbox.newest(),
        };
        // Said at once, not first on the stream: then it is the answer to the call.
        outbox.after(cursor, 1, self.store.mark()).map_err(too_old)?;
        let permit = Arc::clone(&self.subscriptions).try_acquire_owned();
        let why = || Status::resource_exhausted("all subscriptions are in use");
        Ok(Subscription { cursor, account, _permit: permit.map_err(|_| why())? })
    }

    /// The cursor before the oldest event that is kept.
    fn oldest_cursor(&self) -> u64 {
        match self.store.outbox().after(0, 1, self.store.mark()) {
            Ok(_) => 0,
            Err(CursorTooOld { kept_after }) => kept_after,
        }
    }

    /// A cursor that this store has never given out is a mistake, and would wait for events that are not to come.
    fn check_cursor(&self, field: &str, cursor: u64) -> Result<(), Status> {
        let newest = self.store.outbox().newest();
        if cursor > newest {
            let why = format!("{field}: {cursor} is beyond the newest event ({newest}); was it of another store?");
            return Err(Status::out_of_range(why));
        }
        Ok(())
    }
}

/// Sends events until the subscriber leaves, the server shuts down or the journal ends.
async fn feed(api: Api, subscription: Subscription, sender: Sender) {
    let Subscription { mut cursor, account, _permit } = subscription;
    let end = loop {
        let page = match api.store.outbox().after(cursor, PAGE, api.store.mark()) {
            Ok(page) => page,
            Err(error) => break too_old(error),
        };
        if page.is_empty() {
            tokio::select! {
                waited = api.store.outbox().wait_after(cursor, api.store.mark()) => match waited {
                    Ok(()) => continue,
                    Err(fatal) => break unavailable(&fatal),
                },
                () = sender.closed() => return,
                () = api.closing.cancelled() => break closing(),
            }
        }
        tokio::select! {
            last = send(&api, &page, account, &sender) => match last {
                Some(last) => cursor = last,
                None => return,
            },
            () = api.closing.cancelled() => break closing(),
        }
    };
    // A subscriber that reads slowly may miss the reason, but not the end.
    let _ = sender.try_send(Err(end));
}

fn closing() -> Status {
    Status::unavailable("the server is shutting down: subscribe again")
}

/// Sends those of an account, or all. Returns the last cursor, or `None` when the subscriber is gone.
async fn send(api: &Api, page: &[(u64, Arc<Notice>)], account: Option<AccountId>, sender: &Sender) -> Option<u64> {
    for (cursor, notice) in page {
        if account.is_none_or(|account| account == notice.account) {
            let event = Some(event_of(&api.store, *cursor, notice));
            sender.send(Ok(v1::SubscribeResponse { event })).await.ok()?;
        }
    }
    page.last().map(|(cursor, _)| *cursor)
}
