//! Every way the bookstore says no, and the one place where it becomes a gRPC status with details
//! (AIP-193): an ErrorInfo always, and what else helps the caller.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};

use super::api::google::rpc::{
    self, BadRequest, ErrorInfo, Help, PreconditionFailure, QuotaFailure, ResourceInfo, RetryInfo,
    bad_request, help, precondition_failure, quota_failure,
};

/// The domain of every reason here.
const DOMAIN: &str = "bookstore.example.com";

/// A field of a request that cannot be taken.
#[derive(Debug)]
pub struct Violation {
    field: String,
    reason: &'static str,
    description: String,
}

impl Violation {
    pub fn new(field: &str, reason: &'static str, description: &str) -> Self {
        Self { field: field.to_owned(), reason, description: description.to_owned() }
    }
}

/// What a resource is, for messages and ResourceInfo.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    Shelf,
    Book,
    Cover,
    Sample,
    Leaflet,
}

impl Resource {
    fn word(self) -> &'static str {
        match self {
            Self::Shelf => "shelf",
            Self::Book => "book",
            Self::Cover => "cover",
            Self::Sample => "sample",
            Self::Leaflet => "leaflet",
        }
    }

    /// The resource type as AIP-123 writes it.
    fn type_name(self) -> String {
        let kind = match self {
            Self::Shelf => "Shelf",
            Self::Book => "Book",
            Self::Cover => "Cover",
            Self::Sample => "Sample",
            Self::Leaflet => "Leaflet",
        };
        format!("{DOMAIN}/{kind}")
    }
}

/// Why a call was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The request is wrong whatever the shop holds.
    Invalid(Vec<Violation>),
    /// There is no such resource.
    Missing(Resource, String),
    /// The name is taken.
    Taken(Resource, String),
    /// Somebody changed the resource since the caller read it.
    Stale(String),
    /// A shelf that is to go still holds books.
    NotEmpty { shelf: String, books: usize },
    /// The copy is with a reader.
    OnLoan(String),
    /// The copy is in the shop, so nobody can return it.
    NotOnLoan(String),
    /// The reader has as many books as a reader may have; the first is due after `wait`.
    LoanLimit { reader: String, limit: usize, wait: Duration },
    /// The shop holds as much as it can.
    Full { what: &'static str, limit: usize },
    /// The record of the book cannot be read.
    Damaged(String),
    /// A caller of a live stream reads too slowly.
    TooSlow,
}

impl Refusal {
    /// The `google.rpc.Status` of this refusal.
    pub fn status(&self) -> rpc::Status {
        let (code, reason, message) = self.summary();
        let mut details = vec![detail(
            "google.rpc.ErrorInfo",
            &ErrorInfo { reason: reason.to_owned(), domain: DOMAIN.to_owned(), metadata: self.metadata() },
        )];
        details.extend(self.further_details());
        rpc::Status { code: code as i32, message, details }
    }

    fn summary(&self) -> (Code, &'static str, String) {
        match self {
            Self::Invalid(violations) => (
                Code::InvalidArgument,
                "INVALID_FIELDS",
                match violations.as_slice() {
                    [one] => format!("{}: {}", one.field, one.description),
                    many => format!("{} fields cannot be taken as they are", many.len()),
                },
            ),
            Self::Missing(resource, name) => {
                (Code::NotFound, "NO_SUCH_RESOURCE", format!("there is no {} {name}", resource.word()))
            }
            Self::Taken(resource, name) => {
                (Code::AlreadyExists, "NAME_TAKEN", format!("there is a {} {name} already", resource.word()))
            }
            Self::Stale(name) => {
                (Code::Aborted, "STALE_ETAG", format!("{name} has changed since it was read"))
            }
            Self::NotEmpty { shelf, books } => {
                (Code::FailedPrecondition, "SHELF_NOT_EMPTY", format!("{shelf} holds {books} books"))
            }
            Self::OnLoan(name) => (Code::FailedPrecondition, "ON_LOAN", format!("{name} is with a reader")),
            Self::NotOnLoan(name) => {
                (Code::FailedPrecondition, "NOT_ON_LOAN", format!("{name} is in the shop"))
            }
            Self::LoanLimit { reader, limit, .. } => {
                (Code::ResourceExhausted, "LOAN_LIMIT", format!("{reader} has {limit} books at home"))
            }
            Self::Full { what, limit } => {
                (Code::ResourceExhausted, "SHOP_FULL", format!("no more than {limit} {what}"))
            }
            Self::Damaged(name) => {
                (Code::DataLoss, "RECORD_DAMAGED", format!("the record of {name} cannot be read"))
            }
            Self::TooSlow => {
                (Code::Aborted, "TOO_SLOW", "events were lost, because they were not read in time".to_owned())
            }
        }
    }

    fn metadata(&self) -> std::collections::BTreeMap<String, String> {
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        match self {
            Self::Invalid(_) | Self::TooSlow => [].into(),
            Self::Missing(_, name)
            | Self::Taken(_, name)
            | Self::Stale(name)
            | Self::OnLoan(name)
            | Self::NotOnLoan(name)
            | Self::Damaged(name) => [entry("name", name)].into(),
            Self::NotEmpty { shelf, books } => {
                [entry("name", shelf), entry("books", &books.to_string())].into()
            }
            Self::LoanLimit { reader, limit, .. } => {
                [entry("reader", reader), entry("limit", &limit.to_string())].into()
            }
            Self::Full { limit, .. } => [entry("limit", &limit.to_string())].into(),
        }
    }

    fn further_details(&self) -> Vec<Any> {
        match self {
            Self::Invalid(violations) => vec![detail(
                "google.rpc.BadRequest",
                &BadRequest { field_violations: violations.iter().map(field_violation).collect() },
            )],
            Self::Missing(resource, name) | Self::Taken(resource, name) => vec![detail(
                "google.rpc.ResourceInfo",
                &ResourceInfo {
                    resource_type: resource.type_name(),
                    resource_name: name.clone(),
                    ..ResourceInfo::default()
                },
            )],
            Self::NotEmpty { shelf, .. } => vec![
                precondition("EMPTY", shelf, "take the books down first, or use force"),
                detail(
                    "google.rpc.Help",
                    &Help {
                        links: vec![help::Link {
                            description: "How shelves are taken down".to_owned(),
                            url: format!("https://{DOMAIN}/help/shelves"),
                        }],
                    },
                ),
            ],
            Self::OnLoan(name) => vec![precondition("IN_SHOP", name, "wait for its return")],
            Self::NotOnLoan(name) => vec![precondition("ON_LOAN", name, "borrow it first")],
            Self::LoanLimit { reader, limit, wait } => vec![
                quota(reader, "loans", *limit),
                detail(
                    "google.rpc.RetryInfo",
                    &RetryInfo { retry_delay: prost_types::Duration::try_from(*wait).ok() },
                ),
            ],
            Self::Full { what, limit } => vec![quota("shop", what, *limit)],
            Self::Stale(_) | Self::Damaged(_) | Self::TooSlow => Vec::new(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        Status::with_details(
            Code::from_i32(status.code),
            status.message.clone(),
            Bytes::from(status.encode_to_vec()),
        )
    }
}

fn detail(type_name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{type_name}"), value: message.encode_to_vec() }
}

fn field_violation(violation: &Violation) -> bad_request::FieldViolation {
    bad_request::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        reason: violation.reason.to_owned(),
        localized_message: None,
    }
}

fn precondition(kind: &str, subject: &str, description: &str) -> Any {
    detail(
        "google.rpc.PreconditionFailure",
        &PreconditionFailure {
            violations: vec![precondition_failure::Violation {
                r#type: kind.to_owned(),
                subject: subject.to_owned(),
                description: description.to_owned(),
            }],
        },
    )
}

fn quota(subject: &str, what: &str, limit: usize) -> Any {
    detail(
        "google.rpc.QuotaFailure",
        &QuotaFailure {
            violations: vec![quota_failure::Violation {
                subject: subject.to_owned(),
                description: format!("at most {limit} {what}"),
                api_service: DOMAIN.to_owned(),
                quota_id: what.to_owned(),
                quota_value: i64::try_from(limit).unwrap_or(i64::MAX),
                ..quota_failure::Violation::default()
            }],
        },
    )
}
