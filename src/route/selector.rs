//! Selectors of RPCs, the keys of a configuration's rules.
//!
//! Rules are keyed to methods and never to URLs. Which rule stands for a method is worked out at
//! load, key by key, by [`Selector::matches`] and [`Selector::specificity`].

use std::error::Error;
use std::fmt;
use std::ops::Range;

/// A set of RPCs, named in one of four forms.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// `*`: every method.
    All,
    /// `shop.v1.*`: every method of every service in this package and below.
    Package(String),
    /// `shop.v1.Orders/*`: every method of one service.
    Service(String),
    /// `shop.v1.Orders/Create`: one method.
    Method {
        /// The full name of the service.
        service: String,
        /// The name of the method in it.
        method: String,
    },
}

/// How narrow a selector is; the greater is the more specific: a method, a service, a longer
/// package, a shorter package, everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specificity {
    rank: Rank,
    /// Names in the package, 0 for other forms.
    names: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Rank {
    All,
    Package,
    Service,
    Method,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    /// The bytes of the text that are to blame.
    pub span: Range<usize>,
    /// What is wrong with them.
    pub kind: SelectorErrorKind,
}

/// The ways in which a text can fail to be a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectorErrorKind {
    /// There is no text.
    Empty,
    /// It starts with a slash, as a path does.
    LeadingSlash,
    /// A name that is no protobuf identifier.
    Name,
    /// A `*` that stands for part of a name, or before the end.
    Star,
    /// Names only: neither a method nor a `*` at the end.
    NoMethod,
    /// More than one slash.
    SecondSlash,
    /// A slash in the dotted form.
    SlashInDotted,
}

impl Selector {
    /// Reads one of the four forms.
    ///
    /// # Errors
    /// Any other form, with the bytes to blame.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        if text == "*" {
            return Ok(Selector::All);
        }
        refuse_empty_or_leading_slash(text)?;
        let Some((service, method)) = text.split_once('/') else {
            let Some(package) = text.strip_suffix(".*") else {
                check_full_name(text, 0)?;
                return Err(SelectorError::new(0..text.len(), SelectorErrorKind::NoMethod));
            };
            check_full_name(package, 0)?;
            return Ok(Selector::Package(package.to_owned()));
        };
        let after = service.len() + 1;
        if let Some(at) = method.find('/') {
            return Err(SelectorError::new(after + at..after + at + 1, SelectorErrorKind::SecondSlash));
        }
        check_full_name(service, 0)?;
        if method == "*" {
            return Ok(Selector::Service(service.to_owned()));
        }
        check_name(method, after)?;
        Ok(Selector::Method { service: service.to_owned(), method: method.to_owned() })
    }

    /// Reads a method's full name with dots only, `shop.v1.Orders.Create`, as `selector` has it
    /// in a service configuration (google/api/http.proto, `HttpRule.selector`).
    ///
    /// # Errors
    /// Anything but the full name of a method.
    pub fn from_dotted(text: &str) -> Result<Selector, SelectorError> {
        refuse_empty_or_leading_slash(text)?;
        if let Some(at) = text.find('/') {
            return Err(SelectorError::new(at..at + 1, SelectorErrorKind::SlashInDotted));
        }
        check_full_name(text, 0)?;
        match text.rsplit_once('.') {
            Some((service, method)) => {
                Ok(Selector::Method { service: service.to_owned(), method: method.to_owned() })
            }
            None => Err(SelectorError::new(0..text.len(), SelectorErrorKind::NoMethod)),
        }
    }

    /// Whether the method `method` of the service with the full name `service` is in the set.
    pub fn matches(&self, service: &str, method: &str) -> bool {
        match self {
            Selector::All => true,
            Selector::Package(package) => {
                service.strip_prefix(package.as_str()).is_some_and(|below| below.starts_with('.'))
            }
            Selector::Service(name) => name == service,
            Selector::Method { service: name, method: of } => name == service && of == method,
        }
    }

    /// Whether the set may hold methods of the service with this full name.
    pub fn may_match_in(&self, service: &str) -> bool {
        match self {
            Selector::All => true,
            Selector::Package(_) => self.matches(service, ""),
            Selector::Service(name) | Selector::Method { service: name, .. } => name == service,
        }
    }

    /// How narrow the set is. Two different selectors that match the same method never have the
    /// same specificity.
    pub fn specificity(&self) -> Specificity {
        let (rank, names) = match self {
            Selector::All => (Rank::All, 0),
            Selector::Package(package) => (Rank::Package, package.split('.').count()),
            Selector::Service(_) => (Rank::Service, 0),
            Selector::Method { .. } => (Rank::Method, 0),
        };
        Specificity { rank, names }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::All => f.write_str("*"),
            Selector::Package(package) => write!(f, "{package}.*"),
            Selector::Service(service) => write!(f, "{service}/*"),
            Selector::Method { service, method } => write!(f, "{service}/{method}"),
        }
    }
}

impl SelectorError {
    fn new(span: Range<usize>, kind: SelectorErrorKind) -> SelectorError {
        SelectorError { span, kind }
    }

    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self.kind {
            SelectorErrorKind::Empty | SelectorErrorKind::NoMethod => {
                "write `pkg.Service/Method`, `pkg.Service/*`, `pkg.*` or `*`"
            }
            SelectorErrorKind::LeadingSlash => "leave out the first slash",
            SelectorErrorKind::Name => "a name has letters, digits and `_`, and does not start with a digit",
            SelectorErrorKind::Star => "`*` stands alone, or at the end: `pkg.Service/*` or `pkg.*`",
            SelectorErrorKind::SecondSlash => "one slash stands between service and method",
            SelectorErrorKind::SlashInDotted => "write `pkg.Service.Method`",
        }
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SelectorErrorKind::Empty => "an empty selector",
            SelectorErrorKind::LeadingSlash => "a selector does not start with a slash",
            SelectorErrorKind::Name => "not a protobuf name",
            SelectorErrorKind::Star => "a `*` cannot stand here",
            SelectorErrorKind::NoMethod => "this names no method",
            SelectorErrorKind::SecondSlash => "a second slash",
            SelectorErrorKind::SlashInDotted => "a slash in a dotted name",
        })
    }
}

impl Error for SelectorError {}

fn refuse_empty_or_leading_slash(text: &str) -> Result<(), SelectorError> {
    if text.is_empty() {
        return Err(SelectorError::new(0..0, SelectorErrorKind::Empty));
    }
    if text.starts_with('/') {
        return Err(SelectorError::new(0..1, SelectorErrorKind::LeadingSlash));
    }
    Ok(())
}

/// Checks `a.b.C`, which stands at byte `offset` of the selector.
fn check_full_name(text: &str, offset: usize) -> Result<(), SelectorError> {
    let mut at = offset;
    for name in text.split('.') {
        check_name(name, at)?;
        at += name.len() + 1;
    }
    Ok(())
}

fn check_name(name: &str, at: usize) -> Result<(), SelectorError> {
    if let Some(star) = name.find('*') {
        return Err(SelectorError::new(at + star..at + star + 1, SelectorErrorKind::Star));
    }
    if super::template::is_identifier(name) {
        return Ok(());
    }
    Err(SelectorError::new(at..at + name.len(), SelectorErrorKind::Name))
}

#[cfg(test)]
mod tests;
