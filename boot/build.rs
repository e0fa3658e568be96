//! Build script: tells Cargo how freestanding programs are linked, and which files outside `src/` they are made of.

/// For the programs only: the library and the tests keep the host's ordinary settings.
const LINKING: [&str; 8] = [
    "-nostdlib",
    "-nostartfiles",
    "-static",
    "-no-pie",
    "-Wl,-Tlinker.ld",
    "-Wl,--build-id=sha1",
    "-Wl,-z,max-page-size=64",
    "-Wl,--gc-sections",
];

fn main() {
    for argument in LINKING {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=linker.ld");
    println!("cargo:rerun-if-changed=boot");
}
