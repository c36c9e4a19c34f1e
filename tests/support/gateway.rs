//! The gateway in the test's process, started from the text of a configuration on a free port.

use std::net::SocketAddr;
use std::path::Path;

use transom::config;
use transom::problem::Problems;
use transom::server::{Running, start};

use super::backend::{Answer, Backend, Seen};
use super::reply::Reply;
use super::schema::Schema;
use super::wait::PATIENCE;
use super::{http1, http2};

/// A running gateway; dropping it cuts off what is under way.
pub struct Gateway {
    running: Option<Running>,
    /// Of the first listener.
    pub address: SocketAddr,
}

/// What a test chooses, as YAML. What it leaves out is as it stands by default.
#[derive(Clone, Copy, Default)]
pub struct Choices<'a> {
    /// Keys of the listener in flow style, as in `errors: problem, json: { names: proto }`.
    pub listener: &'a str,
    /// Keys of `schema`, in the same style.
    pub schema: &'a str,
    /// Keys of the upstream, in the same style.
    pub upstream: &'a str,
    /// Further parts of the configuration in block style.
    pub more: &'a str,
}

impl Choices<'_> {
    /// The configuration of one listener and one upstream.
    pub fn yaml(&self, schema: &Schema, backend: SocketAddr) -> String {
        self.yaml_to(schema, &[backend])
    }

    /// The configuration of one listener and one upstream that has these endpoints.
    pub fn yaml_to(&self, schema: &Schema, backends: &[SocketAddr]) -> String {
        let endpoints: Vec<String> = backends.iter().map(|backend| format!("'http://{backend}'")).collect();
        let endpoints = endpoints.join(", ");
        let Self { listener, schema: keys, upstream, more } = self;
        let descriptors = schema.descriptors();
        let descriptors = descriptors.display();
        format!(
            "listeners: {{ public: {{ address: '127.0.0.1:0', {listener} }} }}\n\
             schema: {{ descriptors: '{descriptors}', {keys} }}\n\
             upstreams: {{ main: {{ endpoints: [{endpoints}], {upstream} }} }}\n\
             access_log: off\nworkers: 1\ndrain: 0s\n{more}\n"
        )
    }
}

impl Gateway {
    /// Starts from `yaml`, whose relative paths start at `folder`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn try_start(yaml: &str, folder: &Path) -> Result<(Self, Problems), Problems> {
        let (settings, mut warnings) = config::parse(yaml, &folder.join("test.yaml"))?;
        let (running, more) = start(&settings)?;
        warnings.extend(more);
        let address = running.listeners().first().expect("a listener").1;
        Ok((Self { running: Some(running), address }, warnings))
    }

    pub fn start(yaml: &str, folder: &Path) -> Self {
        let (gateway, _) =
            Self::try_start(yaml, folder).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
        gateway
    }

    /// Starts from a configuration file, which reloads read again.
    pub fn from_file(path: &Path) -> Self {
        let started = config::load(path).and_then(|(settings, _)| start(&settings));
        let (running, _) = started.unwrap_or_else(|problems| panic!("{problems}"));
        let address = running.listeners().first().expect("a listener").1;
        Self { running: Some(running), address }
    }

    /// The address that this listener has now.
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.running().listeners().into_iter().find(|(own, _)| own == name).map(|(_, address)| address)
    }

    /// What the admin address tells of reloads.
    pub fn reloads(&self) -> serde_json::Value {
        let admin = self.running().admin().expect("an admin address");
        let told = http1::get(admin, "/reload");
        serde_json::from_slice(&told.assert_ok().body).expect("JSON")
    }

    /// Waits until a further generation is in force.
    #[track_caller]
    pub fn await_generation(&self, after: u64) {
        let began = std::time::Instant::now();
        while self.running().snapshot().generation() <= after {
            let in_time = began.elapsed() < PATIENCE;
            assert!(in_time, "no generation comes after {after}: {:#}", self.reloads());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// A metric by its name and labels, as in `transom_connections`; 0 where it isn't there. Needs `admin`.
    pub fn metric(&self, name: &str) -> u64 {
        let admin = self.running().admin().expect("an admin address");
        let metrics = http1::get(admin, "/metrics");
        let value = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }
}

/// What the admin address counts of things that are there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// On the runtimes of all workers.
    pub tasks: usize,
    pub requests: usize,
    /// Of clients.
    pub connections: usize,
}

/// The sum of a metric over all its labels; 0 where it was never counted.
pub fn metric(text: &str, name: &str) -> usize {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = if rest.starts_with('{') { rest.split_once('}')?.1 } else { rest };
        rest.strip_prefix(' ')?.parse::<usize>().ok()
    });
    values.sum()
}

impl Gateway {
    /// The text of the metrics, from the admin address.
    pub fn metrics(&self) -> String {
        let admin = self.running().admin().expect("the configuration has an admin address");
        http1::get(admin, "/metrics").assert_ok().text().to_owned()
    }

    pub fn gauges(&self) -> Gauges {
        let text = self.metrics();
        let [tasks, requests, connections] =
            ["transom_tasks", "transom_requests", "transom_connections"].map(|name| metric(&text, name));
        Gauges { tasks, requests, connections }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// What keeps these choices from starting, as text.
pub fn problems_of(schema: &Schema, choices: Choices<'_>) -> String {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    match Gateway::try_start(&choices.yaml(schema, nobody), schema.folder()) {
        Ok(_) => panic!("it starts"),
        Err(problems) => problems.to_string(),
    }
}

/// A schema, a backend that echoes until it is told otherwise, and the gateway before it.
pub struct Site {
    // In the order in which they are dropped.
    pub gateway: Gateway,
    pub backend: Backend,
    pub schema: Schema,
}

impl Site {
    pub fn new(proto: &str, choices: Choices<'_>) -> Self {
        let schema = Schema::new(proto);
        let backend = Backend::start(&schema, Answer::Echo);
        let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
        Self { gateway, backend, schema }
    }

    /// One that differs from the defaults in the listener alone.
    pub fn with(proto: &str, listener: &str) -> Self {
        Self::new(proto, Choices { listener, ..Choices::default() })
    }

    pub fn plain(proto: &str) -> Self {
        Self::new(proto, Choices::default())
    }

    pub fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    pub fn get(&self, target: &str) -> Reply {
        http1::get(self.address(), target)
    }

    pub fn post(&self, target: &str, body: &str) -> Reply {
        http1::post(self.address(), target, body)
    }

    pub fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        http1::call(self.address(), method, target, headers, body)
    }

    /// What the backend saw of a call that succeeds.
    #[track_caller]
    pub fn seen(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Seen {
        self.call(method, target, headers, body).assert_ok();
        self.backend.only()
    }

    pub fn http2(&self) -> http2::Http2 {
        http2::Http2::connect(self.address())
    }
}
