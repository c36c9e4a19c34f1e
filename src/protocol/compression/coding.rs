//! The codings that the gateway knows, by their registered names.

use http::HeaderValue;

/// A way to make data smaller. `deflate` is none of them: half of the world sends it with zlib's frame and half without
/// (RFC 9110, section 8.4.1.2), and nobody needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Br,
    /// RFC 8878, with windows as RFC 9659 allows them.
    Zstd,
}

/// What a name in a header means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Data as it is.
    Identity,
    Coded(Coding),
    Unknown,
}

impl Coding {
    /// All of them, best known first.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Br, Self::Zstd];

    /// The value of a header that offers all of them.
    pub const OFFER: HeaderValue = HeaderValue::from_static("gzip, br, zstd");

    /// The name in headers of HTTP, Connect and gRPC alike.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Its place in [`Coding::ALL`].
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Gzip => 0,
            Self::Br => 1,
            Self::Zstd => 2,
        }
    }

    /// The name as the value of a header.
    #[must_use]
    pub const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

impl Named {
    /// What `name` means; case doesn't matter, and `x-gzip` is gzip (RFC 9110, section 8.4.1).
    #[must_use]
    pub fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("identity") {
            return Self::Identity;
        }
        if name.eq_ignore_ascii_case("x-gzip") {
            return Self::Coded(Coding::Gzip);
        }
        let coding = Coding::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name()));
        coding.map_or(Self::Unknown, Self::Coded)
    }
}
