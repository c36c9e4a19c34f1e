//! What a difference between two schemas, or two sets of rules, is called, and what it means for whom.

use crate::problem::Excerpt;

/// How bad a difference is for clients of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// Clients go on as they did.
    Notice,
    /// Clients are answered, but what they get or are allowed may be something else.
    Dangerous,
    /// Calls that were right fail, or are understood wrongly.
    Breaking,
}

impl Impact {
    pub const ALL: [Self; 3] = [Self::Breaking, Self::Dangerous, Self::Notice];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Dangerous => "dangerous",
            Self::Breaking => "breaking",
        }
    }
}

macro_rules! changes {
    ($($variant:ident = $code:literal,)*) => {
        /// What kind of difference it is; scripts may rely on the codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Change { $($variant),* }

        impl Change {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in reports that programs read.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }
        }
    };
}

changes! {
    ServiceRemoved = "SERVICE_REMOVED",
    MethodRemoved = "METHOD_REMOVED",
    StreamingChanged = "STREAMING_CHANGED",
    MethodTypeRenamed = "METHOD_TYPE_RENAMED",
    IdempotencyChanged = "IDEMPOTENCY_CHANGED",
    RouteRemoved = "ROUTE_REMOVED",
    RouteRetargeted = "ROUTE_RETARGETED",
    RouteShadowed = "ROUTE_SHADOWED",
    RouteReplaced = "ROUTE_REPLACED",
    BindingBodyChanged = "BINDING_BODY_CHANGED",
    BindingResponseBodyChanged = "BINDING_RESPONSE_BODY_CHANGED",
    BindingVariablesChanged = "BINDING_VARIABLES_CHANGED",
    FieldRemoved = "FIELD_REMOVED",
    FieldRenamed = "FIELD_RENAMED",
    FieldJsonNameChanged = "FIELD_JSON_NAME_CHANGED",
    FieldRenumbered = "FIELD_RENUMBERED",
    FieldNumberReused = "FIELD_NUMBER_REUSED",
    FieldTypeChanged = "FIELD_TYPE_CHANGED",
    FieldTypeRenamed = "FIELD_TYPE_RENAMED",
    FieldCardinalityChanged = "FIELD_CARDINALITY_CHANGED",
    FieldPresenceChanged = "FIELD_PRESENCE_CHANGED",
    FieldRequired = "FIELD_REQUIRED",
    FieldDefaultChanged = "FIELD_DEFAULT_CHANGED",
    FieldOneofChanged = "FIELD_ONEOF_CHANGED",
    EnumValueRemoved = "ENUM_VALUE_REMOVED",
    EnumValueRenamed = "ENUM_VALUE_RENAMED",
    EnumValueRenumbered = "ENUM_VALUE_RENUMBERED",
    EnumValueAdded = "ENUM_VALUE_ADDED",
    EnumClosed = "ENUM_CLOSED",
    RuleLostTarget = "RULE_LOST_TARGET",
    RuleMatchesMore = "RULE_MATCHES_MORE",
    AuthChanged = "AUTH_CHANGED",
    GuardChanged = "GUARD_CHANGED",
    LimitChanged = "LIMIT_CHANGED",
    TimeoutChanged = "TIMEOUT_CHANGED",
    UpstreamChanged = "UPSTREAM_CHANGED",
    ListenerRemoved = "LISTENER_REMOVED",
    ListenerAddressChanged = "LISTENER_ADDRESS_CHANGED",
    ListenerTlsChanged = "LISTENER_TLS_CHANGED",
    ListenerFormChanged = "LISTENER_FORM_CHANGED",
}

/// Whose calls an effect is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Messages as JSON: REST, WebSockets, Connect and gRPC with JSON.
    Rest,
    /// Messages as protobuf: gRPC, gRPC-Web and Connect.
    Grpc,
    Everyone,
}

impl Audience {
    /// As in reports that people read.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Grpc => "gRPC",
            Self::Everyone => "all clients",
        }
    }

    /// The name in reports that programs read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
            Self::Everyone => "all",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub change: Change,
    pub impact: Impact,
    /// The full name of what differs, or the route or rule.
    pub place: String,
    /// What differs, in one line.
    pub what: String,
    /// The file that declares it, by the name under which it is imported.
    pub file: Option<String>,
    /// The operator's text that it is about.
    pub excerpt: Option<Excerpt>,
    /// What it means, by whom it concerns; none twice.
    pub effects: Vec<(Audience, String)>,
    /// What to do instead.
    pub help: Option<String>,
}

impl Finding {
    #[must_use]
    pub fn new(change: Change, impact: Impact, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            change,
            impact,
            place: place.into(),
            what: what.into(),
            file: None,
            excerpt: None,
            effects: Vec::new(),
            help: None,
        }
    }

    #[must_use]
    pub fn file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    #[must_use]
    pub fn rest(self, effect: impl Into<String>) -> Self {
        self.effect(Audience::Rest, effect)
    }

    #[must_use]
    pub fn grpc(self, effect: impl Into<String>) -> Self {
        self.effect(Audience::Grpc, effect)
    }

    #[must_use]
    pub fn everyone(self, effect: impl Into<String>) -> Self {
        self.effect(Audience::Everyone, effect)
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn effect(mut self, audience: Audience, effect: impl Into<String>) -> Self {
        self.effects.push((audience, effect.into()));
        self
    }
}
