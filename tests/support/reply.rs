//! An answer as a client got it.

use http::HeaderMap;
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// A header's value; its only one.
    pub fn header(&self, name: &str) -> Option<&str> {
        assert!(self.headers.get_all(name).iter().count() < 2, "{name} stands twice in {:?}", self.headers);
        self.headers.get(name).map(|value| value.to_str().expect("a header in ASCII"))
    }

    /// The reason of a fault of the gateway's own, from the ErrorInfo in the default form of errors.
    pub fn reason(&self) -> String {
        let info = self.info();
        assert_eq!(info["domain"], "transom", "{info}");
        info["reason"].as_str().expect("a reason").to_owned()
    }

    /// The ErrorInfo in the default form of errors.
    pub fn info(&self) -> Value {
        let json = self.json();
        let details = json["error"]["details"].as_array().cloned().unwrap_or_default();
        let is_info = |detail: &Value| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo";
        details.into_iter().find(is_info).unwrap_or_else(|| panic!("no ErrorInfo in {json}"))
    }

    /// The field that is at fault, from the BadRequest in the default form of errors.
    pub fn field(&self) -> Option<String> {
        let json = self.json();
        let details = json["error"]["details"].as_array()?;
        let bad =
            details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.BadRequest")?;
        bad["fieldViolations"][0]["field"].as_str().map(str::to_owned)
    }

    /// Status, then the reason and the field of a fault.
    #[track_caller]
    pub fn assert_fault(&self, status: u16, reason: &str, field: Option<&str>) {
        assert_eq!((self.status, &*self.reason()), (status, reason), "{}", self.text());
        assert_eq!(self.field().as_deref(), field, "{}", self.text());
    }

    #[track_caller]
    pub fn assert_ok(&self) -> &Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}
