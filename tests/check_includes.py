#!/usr/bin/python3
"""The layers of src/, checked: who may include whom (docs/architecture.md).

An include line names its folder, so the rule is a table: a file may include its own folder, and folders of lower rank;
two folders of one rank never include each other. Foreign libraries are fenced: each is included from one folder only.

    tests/check_includes.py [FOLDER]      checks FOLDER (default: src beside this file); exit code 1 when a rule is broken
    tests/check_includes.py --self-test   shows that bad includes are found
"""
import re
import sys
import tempfile
from pathlib import Path

RANKS = {
    "base": 0,
    "smtp": 1, "config": 1, "event": 1,
    "message": 2, "io": 2,
    "tls": 3, "dns": 3, "ipc": 3,
    "sasl": 4, "directory": 4, "spool": 4,
    "receive": 5, "schedule": 5, "deliver": 5, "report": 5,
    "programs": 7,
}
# Folders of lower rank that are closed all the same: ranks 3 and 4 take small parameter structs, not the configuration.
CLOSED = {folder: {"config"} for folder, rank in RANKS.items() if rank in (3, 4)}

# Header of a foreign library, and the folders that may include it.
FENCES = [
    (r"uv\.h", ["io"]),
    (r"uv/.*", ["io"]),
    (r"openssl/.*", ["tls"]),
    (r"unbound\.h", ["dns"]),
    (r"yaml\.h", ["config"]),
    (r"jansson\.h", ["programs"]),
    (r"sqlite3\.h", ["programs/keyring"]),
    (r"sodium(/.*|\.h)", ["programs/keyring"]),
    (r"crypt\.h", ["programs/keyring"]),
    (r"seccomp\.h", ["programs"]),
    (r"linux/(landlock|seccomp|filter)\.h", ["programs"]),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"(?P<own>[^"]+)"|<(?P<foreign>[^>]+)>)')


def allowed_folders(folder):
    rank = RANKS[folder]
    lower = [f for f, r in RANKS.items() if r < rank and f not in CLOSED.get(folder, ())]
    return sorted(lower, key=lambda f: (RANKS[f], f)) + [folder]


def check_own(folder, included, source):
    """A complaint about `#include "included"` in a file of `folder`, or None."""
    target = included.split("/", 1)[0]
    if "/" not in included or target not in RANKS:
        return "includes are written from src/, as in \"%s/NAME.h\"; the folders are: %s" % (folder, ", ".join(RANKS))
    if ".." in included.split("/"):
        return "no \"..\" in an include"
    if not (source / included).is_file():
        return "there is no such file"
    may = allowed_folders(folder)
    if target in may:
        return None
    why = "they have the same rank" if RANKS[target] == RANKS[folder] else (
        "it is above" if RANKS[target] > RANKS[folder] else "it is closed to this folder")
    return "%s/ must not include %s/ (%s); allowed: %s" % (folder, target, why, ", ".join(may))


def check_foreign(relative, included):
    for pattern, owners in FENCES:
        if not re.fullmatch(pattern, included):
            continue
        if not any(relative.startswith(owner + "/") for owner in owners):
            return "<%s> is fenced: only %s may include it" % (included, ", ".join(o + "/" for o in owners))
    return None


def check_tree(source):
    """All complaints, as "file:line: text"."""
    complaints = []
    files = [p for p in sorted(source.rglob("*")) if p.suffix in (".c", ".h", ".def")]
    if not files:
        return ["%s: no source files here" % source]
    for path in files:
        relative = path.relative_to(source).as_posix()
        folder = relative.split("/", 1)[0]
        if folder not in RANKS:
            complaints.append("%s:1: the folder %s/ has no rank; give it one in tests/check_includes.py" % (path, folder))
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            included = found["own"] or found["foreign"]
            complaint = check_own(folder, included, source) if found["own"] else check_foreign(relative, included)
            if complaint:
                complaints.append("%s:%d: %s" % (path, number, complaint))
    return complaints


# One include for each row, in a tree where it is the only one; None: it must pass.
SELF_TEST = [
    ("smtp/a.c", '#include "base/x.h"', None),
    ("base/a.c", '#include "base/x.h"', None),
    ("programs/mta/a.c", '#include "receive/x.h"', None),
    ("receive/a.c", '#include "config/x.h"', None),
    ("io/a.c", "#include <uv.h>", None),
    ("tls/a.c", "#include <openssl/ssl.h>", None),
    ("programs/keyring/a.c", "#include <sqlite3.h>", None),
    ("spool/a_test.c", '#include "io/x.h"', None),
    ("smtp/a.c", "#include <string.h>", None),
    ("smtp/a.c", '// #include "programs/x.h"', None),
    ("base/a.h", '#include "smtp/x.h"', "it is above"),
    ("smtp/a.c", '#include "event/x.h"', "same rank"),
    ("event/a_test.c", '#include "smtp/x.h"', "same rank"),
    ("receive/a.c", '#include "schedule/x.h"', "same rank"),
    ("deliver/a.c", '  #  include "report/x.h"', "same rank"),
    ("spool/a.c", '#include "config/x.h"', "closed"),
    ("tls/a.h", '#include "config/x.h"', "closed"),
    ("smtp/a_fuzz.c", '#include "spool/x.h"', "it is above"),
    ("receive/a.def", '#include "programs/x.h"', "it is above"),
    ("smtp/a.c", '#include "x.h"', "written from src/"),
    ("smtp/a.c", '#include "base/../smtp/x.h"', 'no ".."'),
    ("smtp/a.c", '#include "base/missing.h"', "no such file"),
    ("spool/a.c", "#include <uv.h>", "fenced"),
    ("receive/a.c", "#include <openssl/ssl.h>", "fenced"),
    ("deliver/a.c", "#include <unbound.h>", "fenced"),
    ("config/a.c", "#include <jansson.h>", "fenced"),
    ("programs/mta/a.c", "#include <sqlite3.h>", "fenced"),
    ("io/a.c", "#include <seccomp.h>", "fenced"),
    ("newroom/a.c", '#include "base/x.h"', "no rank"),
]


def self_test():
    failures = 0
    for name, line, wanted in SELF_TEST:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder)
            for room in RANKS:
                (source / room).mkdir()
                (source / room / "x.h").write_text("#pragma once\n")
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text("#pragma once\n" + line + "\n")
            complaints = check_tree(source)
        as_wanted = (complaints == []) if wanted is None else (len(complaints) == 1 and wanted in complaints[0])
        if not as_wanted:
            failures += 1
            print("self-test: %s with %s: wanted %s, got %s" % (name, line, wanted or "no complaint", complaints))
    print("check_includes: self-test of %d rows, %d failed" % (len(SELF_TEST), failures))
    return failures == 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 0 if self_test() else 1
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1].startswith("-")):
        print(__doc__, file=sys.stderr)
        return 64
    source = Path(sys.argv[1]) if len(sys.argv) == 2 else Path(__file__).resolve().parent.parent / "src"
    complaints = check_tree(source)
    for complaint in complaints:
        print(complaint)
    print("check_includes: %d broken" % len(complaints) if complaints else "check_includes: all includes point down")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
