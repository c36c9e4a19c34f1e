//! Pages of lists (AIP-158): the token is the key of the last item that was shown, so that
//! items that come in between neither repeat nor hide the rest.

use base64_simd::URL_SAFE_NO_PAD;

use super::refusal::Refusal;
use super::validation::invalid;

/// The most that one page holds, and what it holds when the caller does not say.
pub const MAX_PAGE: usize = 100;

/// One page, and the token of the next if there is one.
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: String,
}

/// Cuts a page out of `items`, which are in their final order with a key that is unique.
pub fn page<T>(items: Vec<(String, T)>, size: i32, token: &str) -> Result<Page<T>, Refusal> {
    let size = match usize::try_from(size) {
        Ok(0) => MAX_PAGE,
        Ok(size) => size.min(MAX_PAGE),
        Err(_) => return Err(invalid("page_size", "OUT_OF_RANGE", "not below 0")),
    };
    let start = match last_key(token)? {
        None => 0,
        Some(last) => match items.iter().position(|(key, _)| *key == last) {
            Some(at) => at + 1,
            None => return Err(bad_token()),
        },
    };
    let mut rest = items.into_iter().skip(start);
    let mut page = Page { items: Vec::new(), next: String::new() };
    let mut last = String::new();
    for (key, item) in rest.by_ref().take(size) {
        last = key;
        page.items.push(item);
    }
    if rest.next().is_some() {
        page.next = URL_SAFE_NO_PAD.encode_to_string(last);
    }
    Ok(page)
}

fn last_key(token: &str) -> Result<Option<String>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(token).map_err(|_| bad_token())?;
    String::from_utf8(bytes).map(Some).map_err(|_| bad_token())
}

fn bad_token() -> Refusal {
    invalid("page_token", "UNKNOWN_PAGE_TOKEN", "not a token of this list, or its book is gone")
}
