use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};
use crate::fault::ErrorForm;
use crate::telemetry::{AccessLogFormat, AccessLogTarget};
use crate::upstream::Discovery;

fn serve(words: &[&str]) -> Result<(Settings, Problems), Problems> {
    let words = ["transom", "serve"].iter().chain(words);
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Serve(flags)) => settings(&flags),
        other => panic!("{other:?}"),
    }
}

fn good(words: &[&str]) -> Settings {
    match serve(words) {
        Ok((settings, warnings)) => {
            assert!(warnings.is_empty(), "{warnings}");
            settings
        }
        Err(problems) => panic!("{words:?}\n{problems}"),
    }
}

/// Name, authorities, and whether there is TLS.
fn upstreams(settings: &Settings) -> Vec<(&str, Vec<&str>, bool)> {
    (settings.upstreams.iter())
        .map(|upstream| {
            let Discovery::Listed(listed) = &upstream.endpoints else { panic!("{upstream:?}") };
            let authorities = listed.iter().map(|listed| listed.endpoint.authority.as_str()).collect();
            (&*upstream.name, authorities, upstream.tls.is_some())
        })
        .collect()
}

fn rules(settings: &Settings) -> Vec<(String, Option<&str>)> {
    settings
        .rules
        .iter()
        .map(|rule| {
            (rule.selector.to_string(), rule.upstream.as_ref().and_then(|upstream| upstream.names().next()))
        })
        .collect()
}

#[test]
fn the_least_serves_one_backend_at_the_usual_address() {
    let settings = good(&["--descriptors", "api.binpb", "--upstream", "http://127.0.0.1:50051"]);
    assert_eq!(upstreams(&settings), [("default", vec!["127.0.0.1:50051"], false)]);
    assert_eq!(rules(&settings), [("*".to_owned(), Some("default"))]);
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(settings.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.listeners[0].errors, ErrorForm::Google);
    assert_eq!(settings.access_log, AccessLogSettings::default());
    assert!(settings.admin.is_none() && settings.workers.is_none());
    assert_eq!(settings.drain, DrainSettings::default());
    assert_eq!(
        settings.schema,
        SchemaSettings { descriptors: vec!["api.binpb".to_owned()], ..SchemaSettings::default() }
    );
}

#[test]
fn every_flag_is_in_the_settings() {
    let line = "--descriptors a --descriptors b --proto p -I i --import j --http-rules h.yaml \
        --service a.* --service a.B/C --default-bindings --same-template first --reflect --reflect-every 20s \
        --upstream http://h:1 --upstream a.Orders/*=https://o:443 --upstream http://h:2 --upstream *=http://h:3 \
        --listen 127.0.0.1:1 --listen [::1]:2 --admin 127.0.0.1:3 --workers 4 \
        --access-log ./x.log --access-log-format json --errors status --timeout 1m";
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let settings = good(&words);
    assert_eq!(
        settings.schema,
        SchemaSettings {
            descriptors: vec!["a".to_owned(), "b".to_owned()],
            protos: vec!["p".to_owned()],
            reflect: Some(ReflectSettings {
                every: Some(std::time::Duration::from_secs(20)),
                ..ReflectSettings::of(vec!["default".to_owned(), "a.Orders/*".to_owned()])
            }),
            imports: vec!["i".into(), "j".into()],
            http_rules: vec!["h.yaml".into()],
            services: vec![
                Selector::Package("a".to_owned()),
                Selector::Method { service: "a.B".to_owned(), method: "C".to_owned() },
            ],
            default_bindings: true,
            passes_unknown: false,
            same_template: SameTemplate::FirstWins,
        }
    );
    assert_eq!(
        upstreams(&settings),
        [("default", vec!["h:1", "h:2", "h:3"], false), ("a.Orders/*", vec!["o:443"], true),]
    );
    assert_eq!(
        rules(&settings),
        [("*".to_owned(), Some("default")), ("a.Orders/*".to_owned(), Some("a.Orders/*")),]
    );
    let timeouts: Vec<_> = settings.rules.iter().map(|rule| rule.timeout).collect();
    assert_eq!(timeouts, [Some(std::time::Duration::from_secs(60)), None]);
    let addresses: Vec<String> =
        settings.listeners.iter().map(|listener| listener.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "[::1]:2"]);
    assert!(settings.listeners.iter().all(|listener| listener.errors == ErrorForm::Status));
    assert_eq!(settings.admin.map(|admin| admin.address.port()), Some(3));
    assert_eq!(settings.workers.map(std::num::NonZeroUsize::get), Some(4));
    let target = AccessLogTarget::File("./x.log".into());
    assert_eq!(settings.access_log, AccessLogSettings { target, format: AccessLogFormat::Json });
}

#[test]
fn a_time_limit_needs_no_backend_for_everything() {
    let settings = good(&["--proto", "p", "--upstream", "a.B/*=http://h:1", "--timeout", "1s"]);
    assert_eq!(rules(&settings), [("a.B/*".to_owned(), Some("a.B/*")), ("*".to_owned(), None)]);
    assert!(settings.rules[0].timeout.is_none() && settings.rules[1].timeout.is_some());
}

/// Flags beside `--descriptors a --upstream http://h:1`, and what the one problem says.
const WRONG: &[(&[&str], &[&str])] = &[
    (&["--timeout", "10"], &["`--timeout`: `10` is no duration", "the command line:1:11", "as in `10s`"]),
    (&["--listen", ":80"], &["`--listen`: `:80` is no address", "did you mean `0.0.0.0:80`?"]),
    (
        &["--listen", "1.1.1.1:1", "--listen", "1.1.1.1:1"],
        &["1.1.1.1:1 is the address of the listener `1.1.1.1:1`"],
    ),
    (&["--admin", "127.0.0.1:8080"], &["`--admin`: 127.0.0.1:8080 is the address of the listener"]),
    (&["--workers", "0"], &["`--workers`: 0 is out of range"]),
    (&["--errors", "gogle"], &["did you mean `google`?"]),
    (&["--access-log", "stdot"], &["did you mean `stdout`?"]),
    (&["--access-log", "off", "--access-log-format", "json"], &["the access log is off"]),
    (&["--same-template", "last"], &["`last` is none of `refuse`, `first`"]),
    (&["--service", "a.B"], &["`a.B` is no selector of RPCs", "the command line:1:11"]),
    (&["--descriptors", ""], &["`--descriptors`: the text is empty"]),
    (&["--reflect", "--reflect-every", "often"], &["`--reflect-every`: `often` is no duration"]),
    (&["--upstream", "http://h"], &["`--upstream`: `http://h` is no endpoint", "the command line:1:12"]),
    (&["--upstream", "a/b/c=http://h:2"], &["`a/b/c` is no selector of RPCs", "the command line:1:15"]),
    (&["--upstream", "http://h:1"], &["the endpoint h:1 is given twice"]),
    (&["--upstream", "https://h:2"], &["endpoints with TLS (`https://`) and without"]),
    (&["--upstream", "http://h:2/?a=b"], &["it has a path or a query"]),
];

#[test]
fn wrong_flags_are_refused_in_the_words_of_the_configuration() {
    for (words, wants) in WRONG {
        let all = [&["--descriptors", "a", "--upstream", "http://h:1"], *words].concat();
        let Err(problems) = serve(&all) else { panic!("{words:?} is taken") };
        let text = problems.to_string();
        assert_eq!(problems.errors(), 1, "{words:?}\n{text}");
        for want in *wants {
            assert!(text.contains(want), "{words:?}: {want}\nis missing in\n{text}");
        }
    }
}

#[test]
fn all_wrong_flags_are_told_at_once() {
    let problems = serve(&["--workers", "x", "--timeout", "y", "--errors", "z"]).expect_err("it is wrong");
    let text = problems.to_string();
    assert_eq!(problems.errors(), 5, "{text}");
    for want in ["there is no schema", "there is no upstream", "`--workers`", "`--timeout`", "`--errors`"] {
        assert!(text.contains(want), "{want}\nis missing in\n{text}");
    }
}

#[test]
fn a_certificate_is_for_every_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate");
    let other = rcgen::KeyPair::generate().expect("a key");
    for (name, text) in [
        ("tls.crt", made.cert.pem()),
        ("tls.key", made.signing_key.serialize_pem()),
        ("other.key", other.serialize_pem()),
    ] {
        std::fs::write(at(name), text).expect("written");
    }
    let usual = ["--descriptors", "a", "--upstream", "http://h:1", "--listen", "1.1.1.1:1"];
    let (cert, key, other) = (at("tls.crt"), at("tls.key"), at("other.key"));
    let flags = |cert, key| {
        let tls = ["--listen", "1.1.1.1:2", "--tls-cert", cert, "--tls-key", key];
        usual.into_iter().chain(tls).collect::<Vec<_>>()
    };
    let settings = good(&flags(&cert, &key));
    assert_eq!(settings.listeners.len(), 2);
    for listener in &settings.listeners {
        let tls = listener.tls.as_ref().expect("it is there");
        assert_eq!(tls.identities[0].chain().names(), ["a.test"]);
    }
    for (cert, key, want) in [
        (&*cert, &*other, "`--tls-key`: the private key in"),
        ("none.crt", &*key, "`--tls-cert`: `none.crt` can't be read"),
        (&*cert, "none.key", "`--tls-key`: `none.key` can't be read"),
    ] {
        let problems = serve(&flags(cert, key)).expect_err(want);
        assert!(problems.errors() == 1 && problems.to_string().contains(want), "{want}\n{problems}");
    }
}
