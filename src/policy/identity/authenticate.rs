//! The layer that finds out who calls. What it lets in carries its [`Principal`].

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::request::Parts;
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt};

use super::{Auth, Authenticator, Judged, Principal};
use crate::fault::Fault;
use crate::policy::{Call, Cors};

/// Sets [`Call::principal`], or refuses the call.
#[derive(Clone)]
pub struct Authenticate {
    authenticator: Arc<Authenticator>,
    /// The listener's choice, where no rule says anything.
    default: Auth,
    /// Whose pages may send cookies.
    cors: Option<Arc<Cors>>,
}

impl Authenticate {
    #[must_use]
    pub fn new(authenticator: Arc<Authenticator>, default: Auth, cors: Option<Arc<Cors>>) -> Self {
        Self { authenticator, default, cors }
    }

    /// Judges a request that leads to no RPC, so that strangers don't learn where there is none.
    #[must_use]
    pub fn judge_unrouted(&self, head: &Parts) -> Judged {
        self.authenticator.judge(self.default, head, self.cors.as_deref())
    }
}

impl<S> Layer<S> for Authenticate {
    type Service = AuthenticateService<S>;
    fn layer(&self, inner: S) -> AuthenticateService<S> {
        AuthenticateService { inner, authenticate: self.clone() }
    }
}

#[derive(Clone)]
pub struct AuthenticateService<S> {
    inner: S,
    authenticate: Authenticate,
}

impl<S, B> Service<Call<B>> for AuthenticateService<S>
where
    S: Service<Call<B>, Error = Fault, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = AuthenticateFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<B>) -> Self::Future {
        let Authenticate { authenticator, default, cors } = &self.authenticate;
        let auth = call.resolved.method.auth.unwrap_or(*default);
        let cors = call.resolved.method.cors(cors.as_ref()).map(Arc::as_ref);
        match authenticator.judge(auth, &call.head, cors) {
            Judged::Now(Ok(principal)) => {
                authenticator.admit(auth, principal, &mut call);
                let principal = call.principal.clone();
                AuthenticateFuture::Inner { inner: self.inner.call(call), principal }
            }
            Judged::Now(Err(fault)) => AuthenticateFuture::Refused { fault: Some(fault) },
            Judged::Later(judging) => {
                let (inner, authenticator) = (self.inner.clone(), Arc::clone(authenticator));
                let known = Arc::new(OnceLock::new());
                let tell = Arc::clone(&known);
                // Boxed, since it is rare and would make every call's future larger.
                AuthenticateFuture::Waiting {
                    known,
                    whole: Box::pin(async move {
                        let principal = judging.await?;
                        let _ = tell.set(principal.clone());
                        authenticator.admit(auth, principal, &mut call);
                        inner.oneshot(call).await
                    }),
                }
            }
        }
    }
}

/// A future that tells who its call is from, for whoever logs it.
pub trait FromCaller {
    /// None as long as nobody knows.
    fn principal(&self) -> Option<&Principal>;
}

/// A call that waits for its principal, and then all of the rest.
type Whole<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

pin_project! {
    #[project = AuthenticateProjection]
    pub enum AuthenticateFuture<F, T> {
        Refused { fault: Option<Fault> },
        Inner { #[pin] inner: F, principal: Principal },
        Waiting { whole: Whole<T>, known: Arc<OnceLock<Principal>> },
    }
}

impl<F, T> Future for AuthenticateFuture<F, T>
where
    F: Future<Output = Result<T, Fault>>,
{
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AuthenticateProjection::Refused { fault } => match fault.take() {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
            AuthenticateProjection::Inner { inner, .. } => inner.poll(cx),
            AuthenticateProjection::Waiting { whole, .. } => whole.as_mut().poll(cx),
        }
    }
}

impl<F, T> FromCaller for AuthenticateFuture<F, T> {
    fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Refused { .. } => None,
            Self::Inner { principal, .. } => Some(principal),
            Self::Waiting { known, .. } => known.get(),
        }
    }
}
