//! Writes xs-trace's man pages and shell completions, of the definitions of its command line: `xs-trace-pages DIRECTORY`.

#[allow(dead_code)] // What only the program itself uses.
mod arguments;

fn main() -> std::process::ExitCode {
    store_client::write_pages::<arguments::Arguments>()
}
