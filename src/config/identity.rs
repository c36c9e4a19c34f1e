//! What a configuration says of who may call: the key `auth` of rules and of listeners' defaults.

use super::values::{self, Wrong};
use crate::policy::Auth;

/// Whether callers have to say who they are.
pub(super) fn auth(text: &str) -> Result<Auth, Wrong> {
    let table = [("required", Auth::Required), ("optional", Auth::Optional), ("none", Auth::None)];
    values::choice(text, &table)
}
