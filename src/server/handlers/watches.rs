//! WATCH, UNWATCH, RESET_WATCHES. xenstore.txt, "Watches".

use crate::abi::ServerFeatures;
use crate::path::{PathBuf, Special};
use crate::platform::Platform;
use crate::quota::Quota;
use crate::server::context::{Context, Outcome, Request};
use crate::server::scratch::Reply;
use crate::store::{Answer, Subject, Watch};
use crate::wire::{XsError, number, strings};

pub fn watch<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let (core, view) = (&mut *cx.core, &request.view);
    let mut args = strings(request.payload);
    let (input, token) = (args.required()?, args.required()?);
    let depth = match args.remaining() {
        0 => None,
        1 if core.offers(request.from, ServerFeatures::WATCH_DEPTH) => {
            let depth = number(args.required()?).min(i64::from(u32::MAX));
            Some(u32::try_from(depth).map_err(|_| XsError::EINVAL)?)
        }
        _ => return Err(XsError::EINVAL),
    };
    let mut buf = PathBuf::new();
    let subject = request.subject(core, input, Special::Allowed, &mut buf)?;
    let Subject { path, hash, .. } = subject;
    core.store.trace.name_for(core.store.current.writer, hash, path.as_bytes());
    if core.store.find_watch(request.from, subject, token).is_some() {
        return Err(XsError::EEXIST);
    }
    let usage = core.store.held.of(request.from).usage;
    core.store.check_quota(view, Quota::WATCHES, usage.watches as usize + 1)?;
    let memory = Watch::memory(path.as_bytes().len(), token.len());
    core.store.check_quota(view, Quota::MEMORY, usage.memory as usize + memory as usize)?;
    let relative = !matches!(input.first(), Some(b'/' | b'@'));
    core.store.decide(Ok(Answer::Watching), view.claim(), |store| {
        store.add_watch(request.from, subject, token, depth, relative)
    })?;
    Ok(Outcome::Answer(Answer::Watching))
}

pub fn unwatch<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    let [input, token] = strings(request.payload).exactly()?;
    let mut buf = PathBuf::new();
    let subject = request.subject(cx.core, input, Special::Allowed, &mut buf)?;
    let id = cx.core.store.find_watch(request.from, subject, token).ok_or(XsError::ENOENT)?;
    cx.core.store.decide(Ok(Answer::Ok), request.view.claim(), |store| store.remove_watch(id))?;
    Ok(Outcome::OK)
}

/// Drops all watches and transactions of the client, the one that the request names included.
pub fn reset_watches<P: Platform>(
    cx: &mut Context<'_, P>,
    request: &Request<'_>,
    _: &mut Reply,
) -> Result<Outcome, XsError> {
    cx.core.store.decide(Ok(Answer::Ok), request.view.claim(), |store| {
        store.intents.modify()?.reset = Some(request.from);
        Ok(())
    })?;
    Ok(Outcome::OK)
}
