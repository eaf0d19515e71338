#!/usr/bin/python3
"""Are the pages made from the option table what the binary prints? With --write they are made anew.

    tests/check_docs.py [--write]          the binary: build/postrider, or what POSTRIDER names
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("POSTRIDER", ROOT / "build" / "postrider"))
PAGES = {
    "docs/configuration.md": "reference",
    "docs/schema.json": "schema",
    "docs/man/postrider.yaml.5": "manual",
}


def printed(page):
    return subprocess.run([BINARY, "config", page], capture_output=True, check=True, timeout=60).stdout


def differing(write):
    for name, page in PAGES.items():
        path, wanted = ROOT / name, printed(page)
        if path.is_file() and path.read_bytes() == wanted:
            continue
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted)
        yield name, page


def main():
    write = sys.argv[1:] == ["--write"]
    if sys.argv[1:] and not write:
        sys.exit(__doc__)
    found = list(differing(write))
    for name, page in found:
        print(f"{name} {'is made anew' if write else f'is not what `postrider config {page}` prints'}")
    if found and not write:
        sys.exit("run tests/check_docs.py --write")


if __name__ == "__main__":
    main()
