//! Callers by their certificates: beside API keys, and alone.

use serde_json::json;

use crate::ask::{PROTO, verdict};
use crate::site::{HOLDERS, Keys, Policy, problems_of};
use crate::support::{
    Answer, Authority, Backend, Choices, Gateway, Http1, Http2, Reply, Schema, TlsChoices, TlsClient, frame,
    request,
};

const NAME: &str = "gateway.test";

#[test]
fn certificates_say_who_calls() {
    let authority = Authority::new();
    let schema = Schema::new(PROTO);
    let own = authority.sign(&[NAME]);
    schema.write("ca.pem", &authority.pem);
    schema.write("tls.crt", &own.cert);
    schema.write("tls.key", &own.key);
    let keys = Keys::new(schema.folder(), &HOLDERS);
    let backend = Backend::start(&schema, Answer::Echo);
    let listener = "tls: { cert: tls.crt, key: tls.key, client: { roots: ca.pem, required: false } }";
    for (identity, missing) in [
        ("mtls: { names: [spiffe, dns] }", "CERTIFICATE_MISSING"),
        ("mtls: {}, api_keys: { file: keys.yaml }", "KEY_MISSING"),
    ] {
        let has_keys = missing == "KEY_MISSING";
        let more = format!(
            "identity: {{ {identity} }}\nrules: {{ 't.S/Do': {{ claims: {{ dns: batch.test }}, fields: {{ a: '{{subject}}' }} }} }}"
        );
        let yaml = Choices { listener, more: &more, ..Choices::default() }.yaml(&schema, backend.address);
        let gateway = Gateway::start(&yaml, schema.folder());
        let key = [("x-api-key", keys.get("reader"))];
        let rest = |names: &[&str], headers: &[(&str, &str)], a: &str| -> Reply {
            let signed = (!names.is_empty()).then(|| authority.sign(names));
            let client =
                TlsClient::new(&authority, TlsChoices { shows: signed.as_ref(), ..TlsChoices::default() });
            let mut http = Http1::over_tls(client.connect(gateway.address, NAME).expect("a handshake"));
            let headers = [&[("content-type", "application/json")], headers].concat();
            http.send(request("POST", "/do", &headers, json!({ "a": a }).to_string().as_bytes()));
            http.reply()
        };
        assert_eq!(verdict(&rest(&["batch.test"], &[], "dns:batch.test")), "OK");
        assert_eq!(verdict(&rest(&["batch.test"], &[], "dns:other.test")), "FIELD_DENIED");
        assert_eq!(verdict(&rest(&["other.test"], &[], "dns:other.test")), "CLAIM_MISMATCH");
        assert_eq!(
            verdict(&rest(&["*.test"], &[], "")),
            if has_keys { "CLAIM_MISMATCH" } else { "CERTIFICATE_INVALID" }
        );
        let nobody = rest(&[], &[], "");
        assert_eq!((nobody.status, verdict(&nobody).as_str()), (401, missing));
        assert!(nobody.header("www-authenticate").is_some());
        if has_keys {
            // A key says more than a certificate, and both have to be good.
            assert_eq!(verdict(&rest(&["batch.test"], &key, "dns:batch.test")), "CLAIM_MISMATCH");
            let disabled = [("x-api-key", keys.get("disabled"))];
            assert_eq!(verdict(&rest(&["batch.test"], &disabled, "dns:batch.test")), "KEY_DISABLED");
        }
        let signed = authority.sign(&["batch.test"]);
        let choices = TlsChoices { alpn: &["h2"], shows: Some(&signed), ..TlsChoices::default() };
        let mut client = Http2::over_tls(gateway.address, &TlsClient::new(&authority, choices), NAME);
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let message = schema.encode("t.M", &json!({ "a": "dns:batch.test" }));
        assert_eq!(verdict(&client.call("POST", "/t.S/Do", &headers, &frame(&message))), "OK");
        assert_eq!(verdict(&client.call("POST", "/t.S/Do", &headers, &frame(b""))), "FIELD_DENIED");
    }
}

#[test]
fn somebody_has_to_ask_for_certificates() {
    let said = problems_of(Policy { identity: "mtls: {}", ..Policy::default() });
    assert!(said.contains("`identity.mtls`: no listener asks clients for certificates"), "{said}");
    let said = problems_of(Policy { identity: "mtls: { names: [email] }", ..Policy::default() });
    assert!(said.contains("`email`"), "{said}");
}
