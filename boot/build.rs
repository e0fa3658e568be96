//! Build script: tells Cargo which files outside `src/` the image is made of.

fn main() {
    println!("cargo:rerun-if-changed=linker.ld");
    println!("cargo:rerun-if-changed=boot");
}
