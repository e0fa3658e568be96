//! `log`: which of the server's work is logged on its console.

use super::answer::{finish, line, no_more};
use crate::platform::Platform;
use crate::server::context::{Context, Outcome};
use crate::server::scratch::Reply;
use crate::trace::Switches;
use crate::wire::{Strings, XsError};

pub fn log<P: Platform>(
    cx: &mut Context<'_, P>,
    mut args: Strings<'_>,
    reply: &mut Reply,
) -> Result<Outcome, XsError> {
    let Some(arg) = args.next() else {
        line(reply, format_args!("Log switch settings:"))?;
        for (name, switch) in Switches::all().iter_names() {
            let state = if cx.core.recorder.log.kinds.contains(switch) { "on" } else { "off" };
            let mut name = heapless::String::<8>::try_from(name).map_err(|_| XsError::EIO)?;
            name.make_ascii_lowercase();
            line(reply, format_args!("{name:<8}: {state}"))?;
        }
        return finish(reply);
    };
    no_more(args)?;
    match arg {
        b"on" => cx.core.recorder.log.on = true,
        b"off" => cx.core.recorder.log.on = false,
        [sign @ (b'+' | b'-'), name @ ..] => {
            let lower = |n: &'static str| n.bytes().map(|byte| byte.to_ascii_lowercase());
            let named = Switches::all().iter_names().find(|(n, _)| lower(n).eq(name.iter().copied()));
            let (_, switch) = named.ok_or(XsError::EINVAL)?;
            cx.core.recorder.log.kinds.set(switch, *sign == b'+');
        }
        _ => return Err(XsError::EINVAL),
    }
    Ok(Outcome::OK)
}
