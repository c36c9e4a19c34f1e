//! h2spec holds the listeners against RFC 7540 and RFC 7541, by prior knowledge and by TLS. Needs what `clients/install`
//! installs: without it the tests say that they were skipped, and fail where `CI` is set.

#[path = "../examples/bookstore/backend.rs"]
mod backend;
mod clients;
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use clients::{Place, Program, program};

/// A case that fails on purpose: its section, and its words.
type Exception = (&'static str, &'static str);

/// It has a GET and a POST that reads its body: what a head alone decides may be answered before h2spec has sent what is
/// wrong, and then there is nothing left to refuse.
const PATH: &str = "/v1/shelves";

/// On a plain listener.
const PLAIN: &[Exception] = &[
    // What doesn't begin like HTTP/2 may be HTTP/1.1 on this port, so it is told by a 400 in HTTP/1.1, and the connection
    // is closed behind it. h2spec reads that for a frame.
    ("http2/3.5", "Sends invalid connection preface"),
];

/// On one with TLS, where ALPN has chosen HTTP/2.
const SECURE: &[Exception] = &[];

/// On any. h2spec sends a GET whose body is still open, which is answered by its head: where the answer is complete before
/// the fault comes, its stream was ended by RST_STREAM with NO_ERROR already. So these may fail and may not.
const RACES: &[Exception] = &[
    ("http2/6.9", "Sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream"),
    (
        "http2/6.9.1",
        "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
    ),
];

/// Far more than a machine under load takes to answer.
const SECONDS: &str = "10";

struct Outcome {
    cases: usize,
    failed: Vec<(String, String)>,
}

/// Reads h2spec's report in JUnit's form, which has one element to a line.
fn outcome(report: &str) -> Outcome {
    let attribute = |line: &str, name: &str| {
        let rest = line.split_once(&format!(" {name}=\""))?.1;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let (mut cases, mut failed) = (0, Vec::new());
    let mut case = (String::new(), String::new());
    for line in report.lines().map(str::trim_start) {
        if line.starts_with("<testcase ") {
            let [section, words] = ["package", "classname"].map(|name| attribute(line, name));
            case = (section.expect("a section"), words.expect("what it does"));
            cases += 1;
        }
        // What was skipped was not seen to be right either.
        if ["<failure", "<error", "<skipped"].iter().any(|end| line.contains(end)) {
            failed.push(case.clone());
        }
    }
    Outcome { cases, failed }
}

#[test]
fn reports_are_read() {
    let report = r#"<testsuites>
  <testsuite name="x" package="http2/1" errors="0">
    <testcase package="http2/1" classname="Good" time="0.0"></testcase>
    <testcase package="http2/1" classname="Bad" time="0.0">
      <failure>no</failure>
    </testcase>
    <testcase package="http2/2" classname="Lost" time="0.0">
      <error>gone</error>
    </testcase>
    <testcase package="http2/2" classname="Left" time="0.0"><skipped></skipped></testcase>
"#;
    let Outcome { cases, failed } = outcome(report);
    let failed: Vec<(&str, &str)> = failed.iter().map(|(section, words)| (&**section, &**words)).collect();
    assert_eq!((cases, failed), (4, vec![("http2/1", "Bad"), ("http2/2", "Lost"), ("http2/2", "Left")]));
}

fn holds(h2spec: &Path, folder: &Path, address: SocketAddr, flags: &[&str], exceptions: &[Exception]) {
    let report = folder.join("h2spec.xml");
    let output = Command::new(h2spec)
        .args(["--strict", "--timeout", SECONDS, "--host", &address.ip().to_string()])
        .args(["--port", &address.port().to_string(), "--path", PATH])
        .arg("--junit-report")
        .arg(&report)
        .args(flags)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let text = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {said}"));
    std::fs::remove_file(&report).expect("it is there");
    let Outcome { cases, failed } = outcome(&text);
    assert_eq!(cases, 146, "{said}");
    let known = |(section, words): &(String, String)| {
        [exceptions, RACES].concat().contains(&(section.as_str(), words.as_str()))
    };
    let unexpected = failed.iter().find(|case| !known(case));
    assert_eq!(unexpected, None, "{flags:?}\n{said}");
    for (section, words) in exceptions {
        let case = ((*section).to_owned(), (*words).to_owned());
        assert!(failed.contains(&case), "{flags:?}: {case:?} is no exception any more");
    }
}

#[test]
fn listeners_speak_http2_as_the_standards_say() {
    let Some(h2spec) = program(Program::H2spec) else { return };
    let place = Place::new("");
    let sites = place.sites();
    holds(&h2spec, place.folder(), sites.plain, &[], PLAIN);
    holds(&h2spec, place.folder(), sites.secure, &["--tls", "--insecure"], SECURE);
}
