//! The flags of the commands and what they say as settings.
//!
//! Values are read by the functions that read the configuration file, so that `--timeout 10` and `timeout: 10` are refused
//! in the same words; the caret goes under the flag.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use crate::admin::AdminSettings;
use crate::config::values::{self, Wrong};
use crate::config::{self, Endpoints, Settings};
use crate::policy::identity::IdentitySettings;
use crate::policy::{LimitSettings, Rule, UpstreamRule};
use crate::problem::{Excerpt, Problem, Problems};
use crate::route::Selector;
use crate::schema::{ReflectSettings, SameTemplate, SchemaSettings};
use crate::server::{DrainSettings, ListenerSettings, ReloadSettings};
use crate::telemetry::AccessLogSettings;
use crate::tls::{Chain, Identity, Key, ListenerTls};
use crate::upstream::UpstreamSettings;

/// What `check` takes.
#[derive(Debug, Args)]
pub struct CheckFlags {
    /// An older schema (descriptor set or `.proto` sources) or configuration file: says what the new one breaks
    #[arg(long, value_name = "OLD")]
    pub against: Option<String>,
    /// Print what breaks as a JSON object
    #[arg(long, requires = "against")]
    pub json: bool,
    #[command(flatten)]
    pub gateway: GatewayFlags,
}

/// What `serve` and `check` take.
#[derive(Debug, Args)]
pub struct GatewayFlags {
    /// The configuration file (YAML); it says all that the other flags say
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schema", "serving"])]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub schema: SchemaFlags,
    #[command(flatten)]
    pub serving: ServingFlags,
}

/// What `routes` takes.
#[derive(Debug, Args)]
pub struct RoutesFlags {
    /// The configuration file (YAML) that says where the schema is
    #[arg(long, value_name = "FILE", conflicts_with = "schema")]
    pub config: Option<PathBuf>,
    /// Print an array of JSON objects instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub schema: SchemaFlags,
    /// A backend that `--reflect` asks, `http://host:port` or `https://host:port`; may be repeated
    #[arg(long, value_name = "[SELECTOR=]URL", requires = "reflect")]
    pub upstream: Vec<String>,
}

/// Where the methods and their HTTP rules are from.
#[derive(Debug, Args)]
#[group(id = "schema", multiple = true)]
#[command(next_help_heading = "Schema")]
pub struct SchemaFlags {
    /// Descriptor sets: a file, a folder or a glob pattern; may be repeated
    #[arg(long, value_name = "PATH")]
    pub descriptors: Vec<String>,
    /// Protobuf sources: a file, a folder or a glob pattern; may be repeated
    #[arg(long, value_name = "PATH")]
    pub proto: Vec<String>,
    /// Ask the backends what they serve, by server reflection
    #[arg(long)]
    pub reflect: bool,
    /// A folder that the imports of sources start at; may be repeated
    #[arg(long, short = 'I', value_name = "DIR", requires = "proto")]
    pub import: Vec<String>,
    /// HTTP rules in a service configuration, instead of those in the descriptors; may be repeated
    #[arg(long, value_name = "FILE")]
    pub http_rules: Vec<String>,
    /// Serve these methods only: `pkg.*`, `pkg.Service/*` or `pkg.Service/Method`; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    pub service: Vec<String>,
    /// Give methods without an HTTP rule the route `POST /pkg.Service/Method`
    #[arg(long)]
    pub default_bindings: bool,
    /// What happens where two methods have the same route
    #[arg(long, value_name = "refuse|first", default_value = "refuse")]
    pub same_template: String,
}

/// Where the gateway listens, and which backends it calls.
#[derive(Debug, Args)]
#[group(id = "serving", multiple = true)]
#[command(next_help_heading = "Serving")]
pub struct ServingFlags {
    /// A backend, `http://host:port` or `https://host:port`, for all methods or for those of a selector; may be
    /// repeated. Several with the same selector share its calls
    #[arg(long, value_name = "[SELECTOR=]URL")]
    pub upstream: Vec<String>,
    /// How long after a backend's answer to `--reflect` to ask again, as in `30s` [default: never]
    #[arg(long, value_name = "DURATION", requires = "reflect")]
    pub reflect_every: Option<String>,
    /// The address to listen at; may be repeated
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: Vec<String>,
    /// A certificate in PEM, with its intermediate ones behind it: the addresses then take TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<String>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<String>,
    /// The address of health, readiness and metrics [default: none]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// How many threads serve [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<String>,
    /// A Unix socket by which a process takes over from the one that serves, without refusing a connection
    #[arg(long, value_name = "PATH")]
    pub handover: Option<PathBuf>,
    /// Where the access log goes; a path has a `/` in it
    #[arg(long, value_name = "stdout|stderr|off|PATH", default_value = "stdout")]
    pub access_log: String,
    /// What a line of the access log looks like [default: text]
    #[arg(long, value_name = "text|json")]
    pub access_log_format: Option<String>,
    /// The form of error bodies in REST: of Google's APIs, a bare google.rpc.Status, or RFC 9457
    #[arg(long, value_name = "google|status|problem", default_value = "google")]
    pub errors: String,
    /// The longest that a unary call may take, as in `10s` [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
}

/// The settings of a command, and warnings about them.
///
/// # Errors
/// Every problem of the configuration file, or of the flags.
pub fn settings(flags: &GatewayFlags) -> Result<(Settings, Problems), Problems> {
    if let Some(file) = &flags.config {
        return config::load(file);
    }
    let mut reader = Reader::default();
    let schema = reader.schema(&flags.schema);
    let settings = reader.serving(&flags.serving, schema);
    reader.problems.into_result(settings)
}

/// What a schema is loaded from.
pub struct SchemaSources {
    pub schema: SchemaSettings,
    /// Those that may be asked by reflection.
    pub upstreams: Vec<UpstreamSettings>,
}

/// The schema's settings alone, and warnings about them.
///
/// # Errors
/// Every problem of the configuration file, or of the flags.
pub fn schema(flags: &RoutesFlags) -> Result<(SchemaSources, Problems), Problems> {
    if let Some(file) = &flags.config {
        let (Settings { schema, upstreams, .. }, warnings) = config::load(file)?;
        return Ok((SchemaSources { schema, upstreams }, warnings));
    }
    let mut reader = Reader::default();
    let mut schema = reader.schema(&flags.schema);
    let upstreams = if flags.schema.reflect { reader.backends(&flags.upstream) } else { Vec::new() };
    let upstreams = upstreams_of(upstreams, &mut schema);
    reader.problems.into_result(SchemaSources { schema, upstreams })
}

/// The backends as upstreams; all of them are asked where the schema is from reflection.
fn upstreams_of(backends: Vec<Backend>, schema: &mut SchemaSettings) -> Vec<UpstreamSettings> {
    let upstreams = backends.into_iter().filter_map(|backend| backend.endpoints.into_upstream(&backend.name));
    let upstreams: Vec<UpstreamSettings> = upstreams.collect();
    if let Some(reflect) = &mut schema.reflect {
        reflect.upstreams = upstreams.iter().map(|upstream| upstream.name.clone()).collect();
    }
    upstreams
}

/// The command line with the caret under `part` of a flag's value.
fn excerpt(flag: &str, text: &str, part: Range<usize>) -> Excerpt {
    let start = flag.len() + 1;
    Excerpt::in_file("the command line", &format!("{flag} {text}"), start + part.start..start + part.end)
}

/// The command line with the caret under a flag's value.
fn whole(flag: &str, text: &str) -> Excerpt {
    excerpt(flag, text, 0..text.len())
}

/// Reads flags and collects what is wrong with them.
#[derive(Default)]
struct Reader {
    problems: Problems,
}

impl Reader {
    fn parse<T>(
        &mut self,
        flag: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let wrong = match parse(text) {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        let part = wrong.span.clone().unwrap_or(0..text.len());
        self.problems.push(wrong.problem(flag).excerpt(excerpt(flag, text, part)));
        None
    }

    fn all<T>(&mut self, flag: &str, texts: &[String], parse: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        texts.iter().filter_map(|text| self.parse(flag, text, &parse)).collect()
    }

    fn schema(&mut self, flags: &SchemaFlags) -> SchemaSettings {
        if flags.descriptors.is_empty() && flags.proto.is_empty() && !flags.reflect {
            let help = "name descriptor sets (`--descriptors api.binpb`) or sources (`--proto proto/`), or ask the \
                        backends (`--reflect`)";
            self.problems.push(Problem::error("there is no schema").help(help));
        }
        let path = |text: &str| values::text(text).map(PathBuf::from);
        SchemaSettings {
            descriptors: self.all("--descriptors", &flags.descriptors, values::text),
            protos: self.all("--proto", &flags.proto, values::text),
            // Which backends there are is not known yet.
            reflect: flags.reflect.then(|| ReflectSettings::of(Vec::new())),
            imports: self.all("--import", &flags.import, path),
            http_rules: self.all("--http-rules", &flags.http_rules, path),
            services: self.all("--service", &flags.service, values::selector),
            default_bindings: flags.default_bindings,
            passes_unknown: false,
            same_template: self
                .parse("--same-template", &flags.same_template, config::same_template)
                .unwrap_or(SameTemplate::Refuse),
        }
    }

    fn serving(&mut self, flags: &ServingFlags, mut schema: SchemaSettings) -> Settings {
        let errors = self.parse("--errors", &flags.errors, config::error_form).unwrap_or_default();
        let tls = self.tls(flags);
        let mut listeners: Vec<ListenerSettings> = Vec::new();
        for text in &flags.listen {
            if let Some(address) = self.parse("--listen", text, |text| config::free_address(text, &listeners))
            {
                let tls = tls.clone();
                listeners.push(ListenerSettings { errors, tls, ..ListenerSettings::new(text, address) });
            }
        }
        let admin = flags.admin.as_ref().and_then(|text| {
            let address = self.parse("--admin", text, |text| config::free_address(text, &listeners))?;
            Some(AdminSettings { address })
        });
        if let (Some(text), Some(reflect)) = (&flags.reflect_every, &mut schema.reflect) {
            reflect.every = self.parse("--reflect-every", text, values::duration);
        }
        let backends = self.backends(&flags.upstream);
        let mut rules: Vec<Rule> = backends.iter().map(Backend::rule).collect();
        if let Some(text) = &flags.timeout {
            let timeout = self.parse("--timeout", text, config::timeout);
            match rules.iter_mut().find(|rule| rule.selector == Selector::All) {
                Some(rule) => rule.timeout = timeout,
                None => rules.push(Rule { timeout, ..rule(Selector::All, whole("--timeout", text)) }),
            }
        }
        let upstreams = upstreams_of(backends, &mut schema);
        Settings {
            listeners,
            admin,
            schema,
            upstreams,
            identity: IdentitySettings::default(),
            rules,
            limits: LimitSettings::default(),
            access_log: self.access_log(flags),
            workers: flags.workers.as_ref().and_then(|text| self.parse("--workers", text, config::workers)),
            drain: DrainSettings::default(),
            reload: ReloadSettings::default(),
            handover: flags.handover.clone(),
            file: None,
        }
    }

    /// One certificate for all addresses. `None` without the flags, or beside a reported error.
    fn tls(&mut self, flags: &ServingFlags) -> Option<ListenerTls> {
        let (cert, key) = (flags.tls_cert.as_deref()?, flags.tls_key.as_deref()?);
        let chain = self.parse("--tls-cert", cert, |text| Ok(Chain::load(Path::new(text))?));
        let loaded = self.parse("--tls-key", key, |text| Ok(Key::load(Path::new(text))?));
        let (chain, loaded) = (chain?, loaded?);
        let identity = self.parse("--tls-key", key, |_| Ok(Identity::new(chain, loaded)?))?;
        let tls = ListenerTls::new(identity);
        for (_, what) in tls.oddities(SystemTime::now()) {
            self.problems.push(Problem::warning(what).excerpt(whole("--tls-cert", cert)));
        }
        Some(tls)
    }

    fn access_log(&mut self, flags: &ServingFlags) -> AccessLogSettings {
        let target = |text: &str| config::access_log_target(text, Path::new(""));
        let target = self.parse("--access-log", &flags.access_log, target).unwrap_or_default();
        let format = flags.access_log_format.as_ref().and_then(|text| {
            self.parse("--access-log-format", text, |text| config::access_log_format(text, &target))
        });
        AccessLogSettings { target, format: format.unwrap_or_default() }
    }

    /// The backends by selector, in the order in which each selector comes first.
    fn backends(&mut self, texts: &[String]) -> Vec<Backend> {
        if texts.is_empty() {
            let help = "say where the backend is, as in `--upstream http://127.0.0.1:50051`";
            self.problems.push(Problem::error("there is no upstream").help(help));
        }
        let mut backends: Vec<Backend> = Vec::new();
        for text in texts {
            self.parse("--upstream", text, |text| backend(text, &mut backends));
        }
        backends
    }
}

/// The endpoints that serve the methods of one selector.
struct Backend {
    selector: Selector,
    name: String,
    endpoints: Endpoints,
    excerpt: Excerpt,
}

impl Backend {
    fn rule(&self) -> Rule {
        Rule {
            upstream: Some(UpstreamRule::One(self.name.clone())),
            ..rule(self.selector.clone(), self.excerpt.clone())
        }
    }
}

/// A rule that sets nothing yet.
fn rule(selector: Selector, excerpt: Excerpt) -> Rule {
    Rule { excerpt: Some(excerpt), ..Rule::new(selector) }
}

/// Adds `[SELECTOR=]URL` to the backends.
fn backend(text: &str, backends: &mut Vec<Backend>) -> Result<(), Wrong> {
    // A `=` after the scheme belongs to the URL.
    let (selector, url) = match text.split_once('=') {
        Some((selector, url)) if !selector.contains("://") => (values::selector(selector)?, url),
        Some(_) | None => (Selector::All, text),
    };
    let origin = config::origin(url)?;
    let same = backends.iter().position(|backend| backend.selector == selector);
    if let Some(backend) = same.and_then(|index| backends.get_mut(index)) {
        return backend.endpoints.add(origin);
    }
    let name = match &selector {
        Selector::All => "default".to_owned(),
        Selector::Package(_) | Selector::Service(_) | Selector::Method { .. } => selector.to_string(),
    };
    let mut endpoints = Endpoints::default();
    endpoints.add(origin)?;
    backends.push(Backend { selector, name, endpoints, excerpt: whole("--upstream", text) });
    Ok(())
}

#[cfg(test)]
mod tests;
