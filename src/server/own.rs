//! The gateway's own methods, as a snapshot has them: resolved like all others, with the rules that match them.

use std::sync::Arc;

use super::snapshot::Compiler;
use crate::introspection::{Exposes, Own};
use crate::policy::{Method, Target};
use crate::problem::Problems;

/// What the paths of all of them begin with, to tell soon that another one is none of them.
const PREFIX: &str = "/grpc.";

/// Few, so they are searched from the front.
pub(super) struct OwnMethods(Vec<OwnMethod>);

struct OwnMethod {
    service: String,
    path: String,
    /// For listeners that show health, and for others.
    with_health: Arc<Method>,
    without_health: Arc<Method>,
}

impl OwnMethods {
    pub(super) fn compile(own: &Own, compiler: &Compiler<'_>, problems: &mut Problems) -> Self {
        let methods = own.methods().iter().filter_map(|method| {
            let mut compile = |health| {
                let server = Target::One(Arc::clone(own.server(Exposes { reflection: true, health })));
                compiler.method(method, own.plans(), &server, problems)
            };
            Some(OwnMethod {
                service: method.service().to_owned(),
                path: method.path.clone(),
                with_health: compile(true)?,
                without_health: compile(false)?,
            })
        });
        Self(methods.collect())
    }

    /// The method at this path, where the listener shows it.
    pub(super) fn find(&self, path: &str, exposes: Exposes) -> Option<&Arc<Method>> {
        if !path.starts_with(PREFIX) {
            return None;
        }
        let own = self.0.iter().find(|own| own.path == path && exposes.shows(&own.service))?;
        Some(if exposes.health { &own.with_health } else { &own.without_health })
    }
}
