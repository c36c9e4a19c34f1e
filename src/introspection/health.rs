//! `grpc.health.v1`, answered by the gateway: for itself, by whether it goes on serving, and for each service that it
//! serves, by whether the upstreams behind it can be reached.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::exposed::Exposed;
use super::proto::grpc::health::v1::health_check_response::ServingStatus;
use super::proto::grpc::health::v1::health_server::Health;
use super::proto::grpc::health::v1::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};

/// More services than this are not listed; they can be asked for one by one.
const MAX_LISTED: usize = 100;

/// What health is judged by.
#[derive(Clone)]
pub(super) struct Vitals {
    pub exposed: watch::Receiver<Arc<Exposed>>,
    /// Told when an upstream is reached, or no longer.
    pub reach_changed: watch::Receiver<()>,
    /// True once the process is to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Vitals {
    /// The status of a service, or of the gateway itself where there is no name; `None` for an unknown one.
    fn status(&self, service: &str) -> Option<ServingStatus> {
        let is_well = if service.is_empty() { true } else { self.exposed.borrow().is_reachable(service)? };
        Some(if is_well && !*self.stopping.borrow() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        })
    }

    /// Waits until a status may be another one. An error: nothing changes any more.
    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.exposed.changed() => changed,
            changed = self.reach_changed.changed() => changed,
            changed = self.stopping.changed() => changed,
        }
    }

    /// From now on, only what comes later is a change.
    fn mark_seen(&mut self) {
        self.exposed.mark_unchanged();
        self.reach_changed.mark_unchanged();
        self.stopping.mark_unchanged();
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

pub(super) struct HealthService(pub Vitals);

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = self.0.status(&request.get_ref().service);
        let status = status.ok_or_else(|| Status::not_found("there is no such service"))?;
        Ok(Response::new(response(status)))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let services: Vec<String> =
            self.0.exposed.borrow().services().into_iter().map(str::to_owned).collect();
        if services.len() > MAX_LISTED {
            return Err(Status::resource_exhausted(format!("there are more than {MAX_LISTED} services")));
        }
        let all = std::iter::once(String::new()).chain(services);
        let statuses =
            all.filter_map(|name| self.0.status(&name).map(|status| (name, response(status)))).collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watching = Watching {
            service: request.into_inner().service,
            vitals: self.0.clone(),
            told: None,
            is_over: false,
        };
        Ok(Response::new(Box::pin(unfold(watching, Watching::next))))
    }
}

/// One client that watches one service.
struct Watching {
    service: String,
    vitals: Vitals,
    /// What it was told last.
    told: Option<ServingStatus>,
    is_over: bool,
}

impl Watching {
    /// The next status that differs from the last one. A process that stops says so, and ends the stream, so that
    /// nobody who watches holds it up.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        if self.is_over {
            return None;
        }
        let mut is_last = false;
        loop {
            self.vitals.mark_seen();
            // Before the status, so that a stop between the two is told first.
            is_last |= *self.vitals.stopping.borrow();
            let status = self.vitals.status(&self.service).unwrap_or(ServingStatus::ServiceUnknown);
            if self.told.replace(status) != Some(status) {
                return Some((Ok(response(status)), self));
            }
            if is_last {
                self.is_over = true;
                return Some((Err(Status::unavailable("the server is stopping")), self));
            }
            // Those who would tell of a change are gone only when the process stops, which may have come first.
            is_last = self.vitals.changed().await.is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_stop_is_told_before_the_end() {
        // What is ready first is chosen at random where everything ends at once.
        for _ in 0..64 {
            let (exposing, exposed) = watch::channel(Arc::default());
            let (_reaching, reach_changed) = watch::channel(());
            let (stop, stopping) = watch::channel(false);
            let service = HealthService(Vitals { exposed, reach_changed, stopping });
            let request = Request::new(HealthCheckRequest { service: String::new() });
            let mut told = service.watch(request).await.unwrap().into_inner();
            assert_eq!(told.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
            assert!(told.next().now_or_never().is_none());

            stop.send_replace(true);
            drop(exposing);
            assert_eq!(told.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
            assert_eq!(told.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
            assert!(told.next().await.is_none());
        }
    }
}
