//! Snapshots that were replaced, until nobody uses them. They are freed on the thread that reloads: freeing a large schema
//! takes longer than a worker may stand still.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::codec::PlanSet;

/// What was replaced and may still be in use: calls that are under way keep their method, and with it all plans.
/// Whoever lets go of it last takes the time to free it, and that should be nobody who serves.
#[derive(Default)]
pub(super) struct Retired {
    snapshots: Vec<Arc<Snapshot>>,
    plans: Vec<Arc<PlanSet>>,
}

impl Retired {
    /// A snapshot that was replaced.
    pub(super) fn add(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshots.push(snapshot);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.plans.is_empty()
    }

    /// Frees what nobody uses any more.
    pub(super) fn drop_unused(&mut self) {
        let plans = &mut self.plans;
        self.snapshots.retain(|snapshot| {
            let is_used = Arc::strong_count(snapshot) > 1;
            if !is_used {
                plans.push(Arc::clone(snapshot.plans()));
            }
            is_used
        });
        self.plans.retain(|plans| Arc::strong_count(plans) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot;
    use super::*;
    use crate::config;
    use crate::introspection::Exposes;

    #[test]
    fn what_is_replaced_is_kept_until_nobody_uses_it() {
        let text = "listeners: { a: { address: '127.0.0.1:0' } }\n\
                    schema: { descriptors: descriptors/bookstore.binpb }\n\
                    upstreams: { a: { endpoints: 'http://127.0.0.1:1' } }\n";
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let (settings, _) = config::parse(text, &root.join("t.yaml")).unwrap();
        let (snapshot, _) = snapshot::compile(&settings).unwrap();
        let snapshot = Arc::new(snapshot);
        let plans = Arc::downgrade(snapshot.plans());
        let mut retired = Retired { snapshots: vec![Arc::clone(&snapshot)], plans: Vec::new() };
        retired.drop_unused();
        assert_eq!((retired.snapshots.len(), retired.plans.len()), (1, 0), "a request looks something up");

        let path = "/bookstore.v1.Bookstore/GetBook";
        let method = Arc::clone(snapshot.shown(Exposes::NONE).rpc(path).unwrap());
        drop(snapshot);
        retired.drop_unused();
        assert_eq!((retired.snapshots.len(), retired.plans.len()), (0, 1), "a call is under way");
        drop(method);
        assert!(plans.upgrade().is_some(), "whoever ends the call frees nothing");
        retired.drop_unused();
        assert!(retired.is_empty() && plans.upgrade().is_none());
    }
}
