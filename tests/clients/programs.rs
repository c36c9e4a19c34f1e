//! Programs of others: where they are, and what they say.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any of them takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(300);

/// What `install` puts into its folder.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    Python,
    Esbuild,
    H2spec,
}

impl Program {
    fn place(self) -> &'static str {
        match self {
            Self::Python => "python/bin/python",
            Self::Esbuild => "node_modules/.bin/esbuild",
            Self::H2spec => "h2spec",
        }
    }
}

/// The folder of `install`.
fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    target.join("clients")
}

/// Where a program is. None where it was not installed, which the test's output says; CI must have it.
pub fn program(program: Program) -> Option<PathBuf> {
    let path = installed().join(program.place());
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{program:?} is missing, and CI must have it");
    eprintln!("skipped: there is no {program:?}, see tests/clients/install");
    None
}

/// Makes one script, at `output`, of a script of this folder and all that it imports. `platform` is `node` or `browser`.
/// None where the bundler is missing.
pub fn bundle(script: &str, platform: &str, output: &Path) -> Option<()> {
    let mut command = Command::new(program(Program::Esbuild)?);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script))
        .args(["--bundle", "--log-level=warning", "--target=es2022"])
        .arg(format!("--platform={platform}"))
        .arg(format!("--outfile={}", output.display()))
        .env("NODE_PATH", installed().join("node_modules"));
    run(command);
    Some(())
}

/// What a program prints; it has to end well.
#[track_caller]
pub fn run(mut command: Command) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| File::create(folder.path().join(name)).expect("a file");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break Some(status);
        }
        if began.elapsed() > LIMIT {
            child.kill().and_then(|()| child.wait()).expect("it can be ended");
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("it was written");
    let [out, err] = ["out", "err"].map(|name| String::from_utf8_lossy(&read(name)).into_owned());
    let good = status.is_some_and(|status| status.success());
    assert!(good, "{command:?} ended with {status:?}\n{out}\n{err}");
    out
}
