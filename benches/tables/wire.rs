//! Wire bytes by hand, for what no encoder writes.

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub(super) fn number(field: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value)].concat()
}

pub(super) fn bytes(field: u32, contents: &[u8]) -> Vec<u8> {
    [&varint(u64::from(field) << 3 | 2)[..], &varint(contents.len() as u64), contents].concat()
}

pub(super) fn group(field: u32, contents: &[u8]) -> Vec<u8> {
    [&varint(u64::from(field) << 3 | 3)[..], contents, &varint(u64::from(field) << 3 | 4)].concat()
}
