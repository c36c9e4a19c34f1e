//! The gateway of a scenario: transom's own program, what it tells on its admin address, and what it holds.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::load::Load;
use crate::process::Process;
use crate::support::{Schema, Transom, get, metric, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; int32 by = 2; }
service A {
  rpc Get(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/a" };
  }
  rpc Down(M) returns (stream M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/d" };
  }
}
service B {
  rpc Get(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/b" };
  }
}
"#;

/// Of calls, where a scenario has no other.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// Retries of calls that may be made twice, within [`DEADLINE`].
pub const RETRIES: &str = "'*': { timeout: 5s, retries: { backoff: { base: 1ms, max: 10ms } } }";

/// How much more the gateway may hold than before: what allocators keep, and connections that it opens and closes by itself.
const MORE_KIB: usize = 16 << 10;
const MORE_TASKS: usize = 8;
const MORE_FILES: usize = 8;

/// The gateway and its folder.
pub struct Site {
    _schema: Schema,
    pub address: SocketAddr,
    transom: Transom,
    admin: SocketAddr,
}

/// What the gateway's process holds while nobody calls.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Its resident memory.
    pub kib: usize,
    pub tasks: usize,
    pub files: usize,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kib, tasks, files } = self;
        write!(f, "{}.{} MiB, {tasks}, {files}", kib / 1024, kib % 1024 * 10 / 1024)
    }
}

/// The upstream `main` of these backends, with further keys.
pub fn main_of(backends: &[Process], more: &str) -> String {
    let endpoints: Vec<_> = backends.iter().map(|backend| format!("'http://{}'", backend.address)).collect();
    format!("main: {{ endpoints: [{}], {more} }}", endpoints.join(", "))
}

pub fn schema() -> Schema {
    Schema::new(PROTO)
}

impl Site {
    /// Starts it with these upstreams and rules.
    pub fn start(upstreams: &str, rules: &str) -> Self {
        Self::start_in(schema(), upstreams, rules)
    }

    pub fn start_in(schema: Schema, upstreams: &str, rules: &str) -> Self {
        let yaml = format!(
            "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: test.binpb }}\n\
             upstreams: {{ {upstreams} }}\nrules: {{ {rules} }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
             access_log: off\nworkers: 2\ndrain: 0s\n"
        );
        let file = schema.write("transom.yaml", &yaml);
        let transom = Transom::spawn(["serve".into(), "--config".into(), file.into_os_string()]);
        let (address, admin) = (transom.address(), transom.admin());
        let site = Self { _schema: schema, address, transom, admin };
        until("it is ready", || get(admin, "/readyz").status == 200);
        site
    }

    /// Load on service A.
    pub fn load<T>(&self, act: impl FnOnce(&Load) -> T) -> (Load, T) {
        Load::during(self.address, 'A', DEADLINE, act)
    }

    fn metrics(&self) -> String {
        get(self.admin, "/metrics").assert_ok().text().to_owned()
    }

    /// The sum of a metric over all its labels.
    pub fn metric(&self, name: &str) -> usize {
        metric(&self.metrics(), name)
    }

    /// How many tries there were beyond the first ones, and how many calls went well after more than one.
    pub fn retries(&self) -> (usize, usize) {
        let metrics = self.metrics();
        let sum = |result: &str| {
            let lines: Vec<_> =
                metrics.lines().filter(|line| line.contains(&format!("result=\"{result}\""))).collect();
            metric(&lines.join("\n"), "transom_upstream_retries_total")
        };
        (sum("tried"), sum("recovered"))
    }

    /// What it holds once its clients are gone.
    pub fn held(&self) -> Held {
        until("clients are gone", || {
            let metrics = self.metrics();
            metric(&metrics, "transom_requests") + metric(&metrics, "transom_connections") == 0
        });
        self.holds()
    }

    fn holds(&self) -> Held {
        let folder = Path::new("/proc").join(self.transom.id().to_string());
        let status = fs::read_to_string(folder.join("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
        let kib = line.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number");
        let files = fs::read_dir(folder.join("fd")).expect("it runs").count();
        Held { kib, tasks: self.metric("transom_tasks"), files }
    }

    /// What it holds once it is back at what it held before; fails if that never comes.
    pub fn back_at(&self, before: &Held) -> Held {
        let is_back = |now: &Held| {
            now.tasks <= before.tasks + MORE_TASKS
                && now.files <= before.files + MORE_FILES
                && now.kib <= before.kib + MORE_KIB
        };
        let mut now = self.held();
        until(&format!("it is back at {before}"), || {
            now = self.holds();
            is_back(&now)
        });
        now
    }
}
