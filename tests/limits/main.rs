//! How often and how many: limits, quotas, tiers and throttling over sockets, in every protocol; and, where redis-server is
//! there, limits that gateways share.

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod decided;
mod documented;
mod redis;
mod refused;
mod shared;
mod throttling;
