//! The part `rate_limits.redis` of a configuration: the store that gateways share.

use std::path::Path;

use http::uri::Authority;

use super::reader::Map;
use super::values::{self, Wrong};
use crate::policy::{OnFailure, RedisSettings};

/// The keys of `redis`.
pub(super) fn read(map: &mut Map<'_>) -> Option<RedisSettings> {
    let url = map.required("url", "write where it is, as in `url: redis://127.0.0.1:6379`");
    let server = url.and_then(|value| value.parse(server));
    let user = map.value("user", values::text);
    let folder = map.path("");
    let password = map.value("password_file", |text| password(&folder.join(text)));
    let prefix =
        map.value("prefix", values::text).unwrap_or_else(|| RedisSettings::DEFAULT_PREFIX.to_owned());
    let timeout = map.value("timeout", values::duration).unwrap_or(RedisSettings::DEFAULT_TIMEOUT);
    let mut on_failure = OnFailure::default();
    map.set("on_failure", &mut on_failure, |text| {
        let table = [("local", OnFailure::Local), ("allow", OnFailure::Allow), ("refuse", OnFailure::Refuse)];
        values::choice(text, &table)
    });
    let (host, port, database) = server?;
    Some(RedisSettings { host, port, user, password, database, prefix, timeout, on_failure })
}

/// Host, port and database of `redis://10.0.0.1:6379/0`.
fn server(text: &str) -> Result<(String, u16, i64), Wrong> {
    let wrong = |why: &str| {
        Wrong::new(format!("`{text}` is no Redis server: {why}"))
            .help("write it as in `redis://127.0.0.1:6379/0`")
    };
    let rest = match text.split_once("://") {
        Some(("redis" | "valkey", rest)) => rest,
        Some(("rediss" | "valkeys", _)) => {
            return Err(wrong("TLS to it is not supported").help("reach it over a network that you trust"));
        }
        Some(_) => return Err(wrong("its scheme is not `redis`")),
        None => return Err(wrong("it has no scheme")),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(wrong("it has user information").help("use `user` and `password_file`"));
    }
    let database = if database.is_empty() { "0" } else { database };
    let database =
        values::number(database, &(0..=1_000_000_u32)).map_err(|_| wrong("the database is no number"))?;
    let authority: Authority = authority.parse().map_err(|_| wrong("host and port can't be read"))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    match authority.port() {
        None => Ok((host.to_owned(), 6379, database.into())),
        Some(_) => match authority.port_u16() {
            Some(port) if port > 0 => Ok((host.to_owned(), port, database.into())),
            Some(_) | None => Err(wrong("it has no port from 1 to 65535")),
        },
    }
}

/// The first line of a file.
fn password(file: &Path) -> Result<String, Wrong> {
    let bytes = super::read_bounded(file, 64 << 10)
        .map_err(|why| Wrong::new(format!("{} can't be read: {why}", file.display())))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Wrong::new(format!("{} isn't UTF-8 text", file.display())))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(Wrong::new(format!("{} is empty", file.display()))),
    }
}
