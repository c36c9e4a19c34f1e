//! `transom key new`: makes an API key, and the entry by which the gateway knows it.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::report;
use crate::config::moment;
use crate::policy::identity::{hash_of, new_key};
use crate::problem::{Problem, Problems};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key and prints it, which is the only time that it is seen, and the entry for the file of keys
    #[command(arg_required_else_help = true, after_help = NEW_EXAMPLES)]
    New(NewKey),
}

const NEW_EXAMPLES: &str = "\
Examples:
  transom key new --owner shop-batch --scopes orders.read,orders.write --expires 90d
  transom key new --owner ann@example.com --tier gold --expires 2027-01-31";

/// What is said of the holder of a new key.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Whose key it is
    #[arg(long, value_name = "TEXT")]
    pub owner: String,
    /// What its holder may do
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    pub scopes: Vec<String>,
    /// By which limits its holder is measured
    #[arg(long, value_name = "NAME")]
    pub tier: Option<String>,
    /// When it ends: a day, a time of one, or how many days from now [default: never]
    #[arg(long, value_name = "DATE|TIME|90d")]
    pub expires: Option<String>,
}

/// Prints a new key and its entry.
#[must_use]
pub fn run(command: &KeyCommand) -> ExitCode {
    let KeyCommand::New(wanted) = command;
    match entry(wanted, SystemTime::now()) {
        Ok((key, entry)) => report::output(format_args!(
            "# The key. Nobody can tell it again; give it to its owner.\n{key}\n\n\
             # The entry, for the file that `identity.api_keys` names. It is no secret.\nkeys:\n{entry}"
        )),
        Err(what) => report::failed(&Problems::from(Problem::error(what))),
    }
}

/// A key, and what the file says of it.
fn entry(wanted: &NewKey, now: SystemTime) -> Result<(String, String), String> {
    let NewKey { owner, scopes, tier, expires } = wanted;
    if owner.is_empty() {
        return Err("`--owner` is empty".to_owned());
    }
    let expires = expires.as_deref().map(|text| end(text, now)).transpose()?;
    let (id, key) = new_key()?;
    let mut entry = format!("  {id}:\n    hash: sha256:");
    // Writing to a string does not fail.
    for byte in hash_of(&key) {
        let _ = write!(entry, "{byte:02x}");
    }
    let _ = write!(entry, "\n    owner: {}\n", quoted(owner));
    if !scopes.is_empty() {
        let scopes: Vec<String> = scopes.iter().map(|scope| quoted(scope)).collect();
        let _ = writeln!(entry, "    scopes: [{}]", scopes.join(", "));
    }
    if let Some(tier) = tier {
        let _ = writeln!(entry, "    tier: {}", quoted(tier));
    }
    if let Some(expires) = expires {
        let _ = writeln!(entry, "    expires: {}", humantime::format_rfc3339_seconds(expires));
    }
    Ok((key, entry))
}

/// A text of YAML that means this one, whatever is in it.
fn quoted(text: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'@');
    let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if starts && text.bytes().all(is_plain) && !matches!(text, "null" | "Null" | "NULL") {
        return text.to_owned();
    }
    // JSON is YAML.
    serde_json::Value::from(text).to_string()
}

fn end(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let end = match days {
        Some(days) => now.checked_add(Duration::from_secs(u64::from(days) * 86_400)),
        None => Some(moment(text).map_err(|wrong| {
            format!("`--expires`: {}; write `90d`, `2027-01-31` or `2027-01-31T12:00:00Z`", wrong.what)
        })?),
    };
    // The last time that has a text.
    let last = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_799));
    match end.filter(|end| last.is_some_and(|last| *end <= last)) {
        Some(end) if end > now => Ok(end),
        Some(_) => Err(format!("`--expires`: {text} is over")),
        None => Err(format!("`--expires`: {text} is beyond all calendars")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::api_keys_of;

    fn wanted(owner: &str, expires: Option<&str>) -> NewKey {
        NewKey {
            owner: owner.into(),
            scopes: vec!["a.b".into(), "0".into()],
            tier: Some("gold".into()),
            expires: expires.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_printed_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.yaml");
        for owner in ["batch", "Ann: \"x\" # {y}", "null", "~", "- a", "ann@example.com", "@x", "ä\n"] {
            let (key, entry) = entry(&wanted(owner, Some("90d")), SystemTime::now()).unwrap();
            std::fs::write(&path, format!("keys:\n{entry}")).unwrap();
            let keys = api_keys_of(&path).unwrap_or_else(|problems| panic!("{problems}\n{entry}"));
            let [read] = keys.as_slice() else { panic!("{entry}") };
            assert_eq!(read.hash, hash_of(&key));
            assert!(key.contains(&read.id));
            assert_eq!(read.identity.owner.as_deref(), Some(owner));
            assert_eq!(read.identity.scopes, ["a.b", "0"]);
            assert!(read.identity.expires.is_some());
        }
    }

    #[test]
    fn when_a_key_ends() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 365);
        for (text, want) in [
            ("1d", Ok(366)),
            ("1971-01-11", Ok(375)),
            ("1971-01-11T00:00:00Z", Ok(375)),
            ("0d", Err("is over")),
            ("1970-02-01", Err("is over")),
            ("soon", Err("is no time")),
            ("4294967295d", Err("beyond all calendars")),
            ("4294967296d", Err("is no time")),
        ] {
            let got = end(text, now);
            match want {
                Ok(days) => assert_eq!(got, Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * days))),
                Err(part) => assert!(got.as_ref().is_err_and(|why| why.contains(part)), "{text}: {got:?}"),
            }
        }
    }
}
