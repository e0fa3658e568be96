#!/usr/bin/env python3
"""Fuses layers twice: by xs-layers, and as folders by the kernel's overlayfs. A node is a folder, and its value a file in it."""

import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

TOOL = pathlib.Path(__file__).parent.parent / "target/xs-layers"
# No node can have this name.
VALUE = "=value"
NAMES = ["a", "b", "c"]
STACKS = 200


def mount(lower, at):
    """Lays the folders over each other, the lowest first; false if this machine does not."""
    # Overlayfs wants the uppermost first, and two at least.
    order = ":".join(str(folder) for folder in reversed(lower))
    command = ["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={order}", str(at)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def entries(rng, number):
    """What a layer says: a mapping of paths to ("value" | "opaque" | "whiteout", value). Nothing is below a whiteout."""
    layer = {}
    for _ in range(rng.randint(0, 7)):
        path = tuple(rng.choices(NAMES, k=rng.randint(1, 3)))
        kind = rng.choices(["value", "opaque", "whiteout"], [5, 1, 2])[0]
        above = any(layer.get(path[:depth], "")[:1] == ("whiteout",) for depth in range(1, len(path) + 1))
        below = any(other[: len(path)] == path for other in layer)
        if not above and not (kind == "whiteout" and below):
            layer[path] = (kind, f"{number} {rng.randint(0, 9)}")
            # A folder has to be there to have a whiteout in it.
            if kind == "whiteout" and path[1:]:
                layer.setdefault(path[:-1], ("value", f"{number} parent"))
    return layer


def as_text(layer, name):
    lines = [f"layer {name}"]
    for path, (kind, value) in layer.items():
        joined = "/" + "/".join(path)
        if kind != "value":
            lines.append(f"{kind} {joined}")
        if kind != "whiteout":
            lines.append(f'{joined} = "{value}"')
    return "\n".join(lines) + "\n"


def as_folder(layer, folder):
    folder.mkdir()
    for path, (kind, value) in layer.items():
        place = folder.joinpath(*path)
        if kind == "whiteout":
            place.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(place, 0o600 | 0o020000, os.makedev(0, 0))
            continue
        place.mkdir(parents=True, exist_ok=True)
        (place / VALUE).write_text(value)
        if kind == "opaque":
            os.setxattr(place, "trusted.overlay.opaque", b"y")


def found(folder):
    """All nodes below a folder, with their values."""
    nodes = {}
    for place in folder.rglob("*"):
        if place.is_dir():
            value = place / VALUE
            nodes["/" + str(place.relative_to(folder))] = value.read_text() if value.exists() else ""
    return nodes


def fused(files):
    told = subprocess.run([TOOL, "fuse", *files], capture_output=True, text=True, check=True).stdout
    nodes = [re.fullmatch(r'(\S+) = "(.*)"   \(.*\)', line).groups() for line in told.splitlines()]
    # These the store makes itself.
    return {path: value for path, value in nodes if not path.startswith("/tool")}


def refuse(why):
    print(f"overlayfs.py: {why}", file=sys.stderr)
    sys.exit(2)


def main():
    if len(sys.argv) > 1:
        refuse(f"no argument '{sys.argv[1]}'; allowed: none")
    if not TOOL.exists():
        refuse(f"no {TOOL}: scripts/build-tool builds it")
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        for folder in ["one", "two", "at"]:
            (work / folder).mkdir()
        if not mount([work / "one", work / "two"], work / "at"):
            print("skipped: overlayfs cannot be mounted here")
            return
        subprocess.run(["umount", work / "at"], check=True)
        wrong = 0
        for seed in range(STACKS):
            rng = random.Random(seed)
            layers = [entries(rng, number) for number in range(rng.randint(2, 4))]
            folders = [work / f"{seed}-{number}" for number in range(len(layers))]
            files = [work / f"{seed}-{number}.layer" for number in range(len(layers))]
            for number, layer in enumerate(layers):
                as_folder(layer, folders[number])
                files[number].write_text(as_text(layer, f"l{number}"))
            if not mount(folders, work / "at"):
                sys.exit(f"not ok - stack {seed} cannot be mounted")
            wanted = found(work / "at")
            subprocess.run(["umount", work / "at"], check=True)
            got = fused(files)
            if wanted != got:
                wrong += 1
                print(f"not ok - stack {seed}\n" + "".join(file.read_text() for file in files))
                print(f"    overlayfs: {wanted}\n    xs-layers: {got}")
        if not wrong:
            print(f"ok - {STACKS} stacks of layers are fused as overlayfs fuses their folders")
        sys.exit(wrong > 0)


main()
