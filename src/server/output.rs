//! The one place where requests are consumed and answers sent.

use core::ops::Deref;

use super::core::Core;
use crate::abi::RingPage;
use crate::connection::outbox::Kind;
use crate::connection::{Arrived, Links};
use crate::slots::Claim;
use crate::store::DomainId;

/// Consumes a request and sends its answer. False if the request must be done again because there is no room for
/// its answer now; `may_repeat` says of which types of request that is no harm.
pub fn reply<R: Deref<Target = RingPage>>(
    core: &mut Core,
    links: &mut Links<R>,
    id: DomainId,
    request: &Arrived,
    may_repeat: impl FnOnce(u32) -> bool,
    message: &[u8],
) -> bool {
    if !core.is_privileged(id)
        && may_repeat(request.header.msg_type)
        && !links.fits_ring(id, message.len())
        && !links.has_room(&core.store, id, message.len())
    {
        return false;
    }
    links.consume(id, request);
    let sent = links.send(&mut core.store, core.clock.now, id, Claim::Answer, Kind::Reply, message);
    debug_assert!(sent || links.get(id).is_none_or(|connection| connection.ignored), "room was checked");
    core.recorder.counters.requests += 1;
    true
}
