//! Lists every place of the image where it could panic, and fails if one is not explained in docs/panics.md.
//!
//! `code` reads the disassembly, `doom` finds the branches behind which nothing is left but an end, `place` asks the
//! line tables whose they are, `table` counts them and compares them with the document. binutils read the image.

mod arguments;
mod binutils;
mod code;
mod doom;
mod place;
mod table;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use arguments::Arguments;
use code::Code;
use table::Table;

/// Beside the image's source.
const DOCUMENT: &str = "docs/panics.md";

fn main() -> ExitCode {
    let done = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => audit(&arguments),
        Ok(None) => output::put(arguments::USAGE).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Err(mistake) => Err(mistake.into()),
    };
    output::status("audit-panics", 2, done)
}

/// Prints the table; the status is 1 if not all of it is explained.
fn audit(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("the sources are gone")?;
    let image = arguments.file.clone().unwrap_or_else(|| root.join("target/xenstore-stubdom.debug"));
    let document = root.join(DOCUMENT);
    let document =
        std::fs::read_to_string(&document).map_err(|error| format!("{}: {error}", document.display()))?;

    let code = Code::parse(&binutils::disassembly(&image)?);
    let sites = doom::sites(&code)?;
    let frames = binutils::frames(&image, sites.iter().map(|site| site.address))?;
    let mut table = Table::default();
    for (site, frames) in sites.iter().zip(&frames) {
        let kind = place::simple(&site.end);
        if arguments.sites {
            let inlined = frames.iter().map(|frame| format!(" {frame}")).collect::<String>();
            output::tell(format_args!("{:x} {kind}:{inlined}", site.address));
        }
        table.add(place::blamed(frames), kind);
    }
    let report = table.compare(&document);
    output::put(report.to_string())?;
    if report.all_explained() {
        return Ok(ExitCode::SUCCESS);
    }
    output::tell(format_args!("audit-panics: not all of this is explained in {DOCUMENT}"));
    Ok(ExitCode::FAILURE)
}
