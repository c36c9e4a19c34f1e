//! Tokens (RFC 7519, RFC 8725, RFC 9068): which issuer a token claims to be of, whether that issuer signed it, and what it
//! says of its holder.
//!
//! The key fixes the algorithm, and the configuration fixes the keys. What a token says of itself only chooses among them.

mod cache;
mod crypto;
mod fetch;
mod issuer;
mod keys;
mod refresh;
mod refusal;
mod token;

pub(super) use cache::Verified;
pub use fetch::{KeyUrl, well_known};
pub use issuer::{IssuerSettings, KeyFile, KeySource, TokenType};
pub use keys::{KeySet, Skipped, secret_of_base64};
pub use refresh::read_file;
pub(super) use refusal::Refusal;

use std::sync::Arc;

use futures_util::future::join_all;

use cache::{Cache, Digest};
use issuer::Issuer;
use token::Unverified;

use super::Identity;
use super::settings::TokenSettings;
use crate::problem::Problem;

pub use jsonwebtoken::Algorithm;

/// All issuers, and the tokens that they were found to have signed.
#[derive(Debug)]
pub(super) struct Jwt {
    issuers: Vec<Arc<Issuer>>,
    cache: Cache,
    /// The largest token, in bytes.
    max_size: usize,
}

/// What is known of a token.
pub(super) enum Checked {
    Now(Result<Arc<Identity>, Refused>),
    /// Its issuer may have a key that is not among those of this generation.
    AfterKeys(Arc<Issuer>, u64),
}

/// Why a token is no good, and whose it claims to be.
#[derive(Debug)]
pub(super) struct Refused {
    pub why: Refusal,
    pub issuer: Option<Arc<str>>,
}

impl Jwt {
    /// # Errors
    /// Keys that can't be used.
    pub(super) fn new(issuers: &[IssuerSettings], tokens: &TokenSettings) -> Result<Self, Problem> {
        crypto::install();
        let issuers = issuers.iter().map(|settings| Issuer::new(settings).map(Arc::new));
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            cache: Cache::new(tokens.cache),
            max_size: tokens.max_size,
        })
    }

    /// By other settings. An issuer that is as it was is the same: it keeps the keys that it told.
    ///
    /// # Errors
    /// Keys that can't be used.
    pub(super) fn renew(&self, issuers: &[IssuerSettings], tokens: &TokenSettings) -> Result<Self, Problem> {
        let issuers = issuers.iter().map(|settings| {
            match self.issuers.iter().find(|known| known.settings() == settings) {
                Some(known) => Ok(Arc::clone(known)),
                None => Issuer::new(settings).map(Arc::new),
            }
        });
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            cache: Cache::new(tokens.cache),
            max_size: tokens.max_size,
        })
    }

    /// Checks a token; one that was found good before is known by its digest.
    pub(super) fn check(&self, text: &str) -> Checked {
        if text.len() > self.max_size {
            let why = Refusal::Malformed("it is larger than tokens may be");
            return Checked::Now(Err(Refused { why, issuer: None }));
        }
        let digest = Digest::of(text);
        if let Some(Verified { identity, .. }) = self.cache.get(&digest, |verified| self.is_good(verified)) {
            return Checked::Now(Ok(identity));
        }
        let (index, issuer, token) = match self.read(text) {
            Ok(read) => read,
            Err(refused) => return Checked::Now(Err(refused)),
        };
        let seen = issuer.generation();
        match self.verify(index, issuer, &token, digest) {
            Err(Refused { why: Refusal::KeyUnknown | Refusal::NoKeys, .. })
                if issuer.may_have_more_keys() =>
            {
                Checked::AfterKeys(Arc::clone(issuer), seen)
            }
            result => Checked::Now(result),
        }
    }

    /// The names of all issuers.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.issuers.iter().map(|issuer| issuer.name())
    }

    /// Keeps the keys of all issuers as they are there, without an end. `tell` hears of each attempt whose keys were asked
    /// for, and whether there were any.
    pub(super) async fn keep_fresh(&self, tell: impl Fn(&str, bool) + Clone) {
        let changing = self.issuers.iter().filter(|issuer| issuer.changes());
        join_all(changing.map(|issuer| Arc::clone(issuer).keep_fresh(tell.clone()))).await;
    }

    /// Whether there are keys that can change.
    pub(super) fn has_changing_keys(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.changes())
    }

    /// Checks a token with the keys that there are now.
    pub(super) fn check_at_last(&self, text: &str) -> Result<Arc<Identity>, Refused> {
        let (index, issuer, token) = self.read(text)?;
        self.verify(index, issuer, &token, Digest::of(text))
    }

    /// A token, and the issuer that it claims to be of.
    fn read<'t>(&self, text: &'t str) -> Result<(usize, &Arc<Issuer>, Unverified<'t>), Refused> {
        let token = Unverified::read(text).map_err(|why| Refused { why, issuer: None })?;
        let mut issuers = self.issuers.iter().enumerate();
        match issuers.find(|(_, issuer)| issuer.is_named(token.issuer())) {
            Some((index, issuer)) => Ok((index, issuer, token)),
            None => Err(Refused { why: Refusal::IssuerUnknown, issuer: None }),
        }
    }

    fn verify(
        &self,
        index: usize,
        issuer: &Issuer,
        token: &Unverified<'_>,
        digest: Digest,
    ) -> Result<Arc<Identity>, Refused> {
        let (identity, generation) =
            issuer.verify(token).map_err(|why| Refused { why, issuer: Some(Arc::clone(issuer.name())) })?;
        let identity = Arc::new(identity);
        self.cache.put(digest, Verified { identity: Arc::clone(&identity), issuer: index, generation });
        Ok(identity)
    }

    /// Whether what was found out about a token still holds: its issuer has the same keys, and it hasn't expired.
    fn is_good(&self, verified: &Verified) -> bool {
        let issuer = self.issuers.get(verified.issuer);
        issuer.is_some_and(|issuer| issuer.generation() == verified.generation)
            && !verified.identity.has_expired()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(name: &str, secret: &str) -> IssuerSettings {
        IssuerSettings {
            name: name.into(),
            issuer: format!("https://{name}.test"),
            audiences: None,
            keys: KeySource::Secret(KeySet::secret(secret.as_bytes(), &[Algorithm::HS256])),
            algorithms: vec![Algorithm::HS256],
            media_type: TokenType::default(),
            leeway: IssuerSettings::DEFAULT_LEEWAY,
            refresh: IssuerSettings::DEFAULT_REFRESH,
            cooldown: IssuerSettings::DEFAULT_COOLDOWN,
            scope_claim: None,
            tier_claim: None,
        }
    }

    #[test]
    fn issuers_that_are_as_they_were_are_the_same() {
        let tokens = TokenSettings::default();
        let jwt = Jwt::new(&[issuer("a", "one"), issuer("b", "two")], &tokens).unwrap();
        let renewed = jwt.renew(&[issuer("b", "other"), issuer("a", "one"), issuer("c", "two")], &tokens);
        let renewed = renewed.unwrap();
        let same: Vec<bool> = renewed
            .issuers
            .iter()
            .map(|issuer| jwt.issuers.iter().any(|known| Arc::ptr_eq(issuer, known)))
            .collect();
        assert_eq!(same, [false, true, false]);
    }
}
