//! The HTTP methods of routes, and of the answer to a wrong one.

use std::fmt;

use http::Method;
use smallvec::SmallVec;

/// The HTTP method that a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HttpMethod {
    /// This one. GET serves HEAD too, where HEAD has no route of its own.
    Exact(Method),
    /// Every one that no route of the same template names: `custom { kind: "*" }` in
    /// google/api/http.proto.
    Any,
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpMethod::Exact(method) => f.write_str(method.as_str()),
            HttpMethod::Any => f.write_str("*"),
        }
    }
}

/// The methods that a path has routes for: sorted by name, none twice, HEAD wherever GET is.
/// `Display` gives the value of an `Allow` header (RFC 9110, section 10.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(SmallVec<[Method; 4]>);

impl Methods {
    /// The methods, sorted by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Method> {
        self.0.iter()
    }

    /// Whether a method is among them.
    pub fn contains(&self, method: &Method) -> bool {
        self.0.contains(method)
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Methods {
        let mut methods: SmallVec<[Method; 4]> = methods.into_iter().collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        Methods(methods)
    }
}

impl<'a> IntoIterator for &'a Methods {
    type Item = &'a Method;
    type IntoIter = std::slice::Iter<'a, Method>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, method) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}
