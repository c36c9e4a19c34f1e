//! Which upstream a call went to, where there are several to choose from.

use std::sync::{Arc, OnceLock};

/// The choice for one call, made on its way and told at its end.
#[derive(Debug, Default)]
pub struct Chosen(OnceLock<usize>);

impl Chosen {
    /// The first choice stays; it is what this gives.
    pub fn set(&self, index: usize) -> usize {
        *self.0.get_or_init(|| index)
    }

    /// None where the call did not come so far.
    #[must_use]
    pub fn get(&self) -> Option<usize> {
        self.0.get().copied()
    }
}

/// The upstream that a call is for.
#[derive(Debug)]
pub enum ServedBy {
    One(Arc<str>),
    /// That one of these which is chosen on the call's way.
    OneOf {
        names: Arc<[Arc<str>]>,
        chosen: Arc<Chosen>,
    },
}

impl ServedBy {
    /// Its name, once it is known.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::One(name) => Some(name),
            Self::OneOf { names, chosen } => names.get(chosen.get()?).map(|name| &**name),
        }
    }
}
