//! Asking a backend what it serves, by server reflection: `grpc.reflection.v1`, or `v1alpha` of a backend that has
//! only that. At load, and away from the workers.
//!
//! Files are kept as the bytes that came, so that options which nothing here knows survive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use tokio::time::timeout;

use super::proto::grpc::reflection::v1::server_reflection_request::MessageRequest;
use super::proto::grpc::reflection::v1::server_reflection_response::MessageResponse;
use super::session::Session;
use crate::fault::{Code, Fault, Kind};
use crate::problem::Problem;
use crate::route::Selector;
use crate::schema::{FileNames, ReflectSettings, Reflected, is_built_in};
use crate::upstream::Cluster;

/// Services about the server itself: the gateway has its own.
const LEFT_OUT: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// How many files one backend may have, and how many services.
const MAX_FILES: usize = 20_000;

/// Why a backend did not tell everything.
#[derive(Debug)]
pub struct FetchError {
    upstream: String,
    what: String,
    help: Option<&'static str>,
    may_pass: bool,
}

impl FetchError {
    /// The name of the upstream.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Whether asking again can help: the backend may not be up yet.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }

    pub(super) fn new(cluster: &Cluster, what: impl Into<String>) -> Self {
        Self { upstream: cluster.name().to_string(), what: what.into(), help: None, may_pass: false }
    }

    fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    pub(super) fn of(cluster: &Cluster, fault: &Fault) -> Self {
        let why = fault.cause().map_or_else(
            || fault.message().to_owned(),
            |cause| {
                if fault.message().is_empty() {
                    cause.to_string()
                } else {
                    format!("{}: {cause}", fault.message())
                }
            },
        );
        if fault.kind() == Kind::ReplyTooLarge {
            return Self::new(cluster, format!("an answer is too large ({why})")).help(ALLOW_MORE);
        }
        match fault.code() {
            Code::Unavailable | Code::DeadlineExceeded => {
                Self { may_pass: true, ..Self::new(cluster, format!("it can't be reached ({why})")) }
                    .help("start the backend, or let the start wait longer for it (`schema.reflect.wait`)")
            }
            Code::Unimplemented => Self::new(cluster, "it has no server reflection")
                .help("turn reflection on in the backend, or name descriptor sets (`schema.descriptors`)"),
            _ if fault.kind() == Kind::BadReply => {
                Self::new(cluster, format!("its answer can't be used ({why})"))
            }
            code => Self::new(cluster, format!("it answers {} ({why})", code.name())),
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the upstream `{}` does not tell by reflection what it serves: {}",
            self.upstream, self.what
        )
    }
}

impl std::error::Error for FetchError {}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let problem = Problem::error(error.to_string());
        match error.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

/// Asks the backend behind `cluster` for the services that one of `selectors` may match (all, without any), and for
/// every file that they need.
///
/// # Errors
/// The backend can't be reached, has no reflection, or tells too much, too little or nonsense.
pub async fn fetch(
    cluster: &Cluster,
    selectors: &[Selector],
    settings: &ReflectSettings,
) -> Result<Reflected, FetchError> {
    match timeout(settings.timeout, fetch_all(cluster, selectors, settings)).await {
        Ok(told) => told,
        Err(_) => Err(FetchError {
            may_pass: true,
            ..FetchError::new(
                cluster,
                format!("it takes longer than {}", humantime::format_duration(settings.timeout)),
            )
        }
        .help("let it take longer (`schema.reflect.timeout`)")),
    }
}

async fn fetch_all(
    cluster: &Cluster,
    selectors: &[Selector],
    settings: &ReflectSettings,
) -> Result<Reflected, FetchError> {
    let wanted = |service: &str| {
        !LEFT_OUT.contains(&service)
            && (selectors.is_empty() || selectors.iter().any(|selector| selector.may_match_in(service)))
    };
    let (mut session, listed) = Session::open(cluster, settings).await?;
    let services: BTreeSet<String> = listed.into_iter().filter(|service| wanted(service)).collect();

    if services.len() > MAX_FILES {
        return Err(FetchError::new(cluster, format!("it lists more than {MAX_FILES} services")));
    }
    let mut told =
        Told { cluster, files: BTreeMap::new(), size: 0, open: Vec::new(), max_size: settings.max_size };
    let questions: Vec<MessageRequest> =
        services.iter().cloned().map(MessageRequest::FileContainingSymbol).collect();
    session
        .ask(questions, |question, answer| match (question, answer) {
            (_, MessageResponse::FileDescriptorResponse(files)) => told.add(files.file_descriptor_proto),
            (MessageRequest::FileContainingSymbol(service), MessageResponse::ErrorResponse(error)) => {
                let what =
                    format!("it lists `{service}`, but does not describe it ({})", error.error_message);
                Err(FetchError::new(cluster, what).help(LEAVE_OUT))
            }
            (question, _) => Err(told.wrong_answer(question)),
        })
        .await?;
    told.add_imports(&mut session).await?;
    session.finish();

    if let Some(service) = services.iter().find(|service| !told.declares(service)) {
        let what = format!("it lists `{service}`, but none of its files declares it");
        return Err(FetchError::new(cluster, what).help(LEAVE_OUT));
    }
    Ok(Reflected {
        upstream: cluster.name().clone(),
        services: services.into_iter().collect(),
        files: told.files.into_values().map(|(encoded, _)| encoded).collect(),
    })
}

const LEAVE_OUT: &str = "name the services to be served, without this one, in `schema.services`";

/// The files that came so far.
struct Told<'c> {
    cluster: &'c Cluster,
    files: BTreeMap<String, (Bytes, Vec<String>)>,
    /// In bytes.
    size: usize,
    /// Imports that were not looked for yet.
    open: Vec<String>,
    max_size: usize,
}

impl Told<'_> {
    fn add(&mut self, files: Vec<Bytes>) -> Result<(), FetchError> {
        for encoded in files {
            let names = FileNames::read(&encoded).map_err(|error| {
                FetchError::new(self.cluster, format!("one of its files can't be read ({error})"))
            })?;
            // Backends repeat what several services import.
            if self.files.contains_key(&names.name) {
                continue;
            }
            self.size += encoded.len();
            if self.size > self.max_size {
                let what = format!("its files have more than {} bytes", self.max_size);
                return Err(FetchError::new(self.cluster, what).help(ALLOW_MORE));
            }
            if self.files.len() == MAX_FILES {
                return Err(FetchError::new(self.cluster, format!("it has more than {MAX_FILES} files")));
            }
            self.open.extend(names.imports);
            self.files.insert(names.name, (encoded, names.services));
        }
        Ok(())
    }

    /// Asks for what the files import, until nothing is missing but what the backend doesn't have.
    async fn add_imports(&mut self, session: &mut Session<'_>) -> Result<(), FetchError> {
        let mut asked: BTreeSet<String> = BTreeSet::new();
        loop {
            let open = std::mem::take(&mut self.open);
            let missing = open.into_iter().filter(|name| !self.files.contains_key(name));
            let questions: Vec<MessageRequest> = missing
                .filter(|name| asked.insert(name.clone()))
                .map(MessageRequest::FileByFilename)
                .collect();
            if questions.is_empty() {
                return Ok(());
            }
            if asked.len() > MAX_FILES {
                return Err(FetchError::new(self.cluster, format!("it imports more than {MAX_FILES} files")));
            }
            let cluster = self.cluster;
            session
                .ask(questions, |question, answer| match (question, answer) {
                    (_, MessageResponse::FileDescriptorResponse(files)) => {
                        self.add(files.file_descriptor_proto)
                    }
                    // Where nobody else has it either, loading says so.
                    (_, MessageResponse::ErrorResponse(error))
                        if error.error_code == Code::NotFound as i32 =>
                    {
                        Ok(())
                    }
                    (MessageRequest::FileByFilename(name), MessageResponse::ErrorResponse(_))
                        if is_built_in(name) =>
                    {
                        Ok(())
                    }
                    (MessageRequest::FileByFilename(name), MessageResponse::ErrorResponse(error)) => {
                        Err(FetchError::new(
                            cluster,
                            format!("it does not give `{name}` ({})", error.error_message),
                        ))
                    }
                    (question, _) => Err(self.wrong_answer(question)),
                })
                .await?;
        }
    }

    fn declares(&self, service: &str) -> bool {
        self.files.values().any(|(_, services)| services.iter().any(|name| name == service))
    }

    fn wrong_answer(&self, question: &MessageRequest) -> FetchError {
        FetchError::new(self.cluster, format!("it answers something else than {question:?} asked"))
    }
}

const ALLOW_MORE: &str =
    "allow it more (`schema.reflect.max_size`), or name fewer services in `schema.services`";
