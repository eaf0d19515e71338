#!/usr/bin/python3
"""Builds and runs the tests; called by ./test, which installs what they need."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

USAGE = """
Usage: ./test [--quick] [--seed N] [NAME ...]

  (nothing)   everything: checks of the sources, unit tests (plain, ASan+UBSan, TSan), dialogues, system and interop
              tests, crash rounds, fuzz targets for some seconds each
  --quick     only the checks, unit tests and scripts against the plain build
  --list      the names there are
  NAME        only what has NAME in its name: a unit test (base/slice), a script or one of its tests (dialogue,
              test_queue, test_expired_message_is_returned), a fuzz target (path_fuzz)

Examples:
  ./test spool                 all unit tests of the spool, and what else is called so
  ./test tests/dialogue        the dialogues
  POSTRIDER=build-asan/postrider ./test dialogue       the same against another build
"""

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--timeout=240"]
SCRIPTS = ["tests/config", "tests/dialogue", "tests/system", "tests/interop", "tests/crash"]
THREADED = ["io", "ipc", "tls", "dns", "spool", "schedule"]
FUZZ_SECONDS = 4
BUILDS = {
    "build": [],
    "build-asan": ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"],
    "build-tsan": ["-Db_sanitize=thread", "-Db_lundef=false", "-Doptimization=1"],
    "build-fuzz": ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1", "-Dfuzz=true"],
}
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Sum:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.names = []
        self.began = time.monotonic()

    def add(self, ok, name):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            self.names.append(name)

    def line(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def say(text):
    print(f"==> {text}", flush=True)


def run(command, **kwargs):
    return subprocess.run([str(c) for c in command], cwd=ROOT, **kwargs)


def environment(**extra):
    return {**os.environ, **SANITIZERS, **extra}


def build(folder, targets=()):
    """Configures when needed and builds; a failure ends everything, for nothing else can be believed then."""
    say(f"building {folder}")
    env = dict(os.environ)
    if folder == "build-fuzz":
        env["CC"] = "clang"
    options = [*BUILDS[folder], "-Dwerror=true"] if folder != "build" else ["-Dwerror=true"]
    tests = "false" if folder == "build-fuzz" else "true"
    if not (ROOT / folder / "build.ninja").exists():
        done = run(["meson", "setup", folder, f"-Dtests={tests}", *options], env=env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    elif folder == "build":
        run(["meson", "configure", folder, "-Dtests=true", "-Dwerror=true"], stdout=subprocess.DEVNULL)
    done = run(["ninja", "-C", folder, *targets], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-8000:] + done.stderr)


def check(total, name, command):
    done = run(command, capture_output=True, text=True)
    total.add(done.returncode == 0, name)
    if done.returncode:
        print(done.stdout + done.stderr)


def run_meson(folder, options, names):
    """What `meson test` found, one dict a test."""
    log = ROOT / folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    run(["meson", "test", "-C", folder, "--no-rebuild", "--suite", "unit", "-t", "4", *options, *names],
        env=environment(), stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def unit_tests(total, folder, names=()):
    say(f"unit tests of {folder}")
    results = run_meson(folder, [], names)
    if not results:
        total.add(False, f"{folder}: no unit test ran")
    failed = [r["name"].rsplit(" ", 1)[-1] for r in results if r["result"] not in ("OK", "SKIP")]
    alone = set()
    if 0 < len(failed) <= 3:
        say(f"again, by themselves: {' '.join(failed)}")
        alone = {r["name"] for r in run_meson(folder, ["--num-processes", "1"], failed) if r["result"] == "OK"}
    for result in results:
        name = f"{folder}: {result['name']}"
        if result["result"] == "SKIP":
            total.skipped += 1
            continue
        total.add(result["result"] == "OK" or result["name"] in alone, name)
        if result["result"] != "OK":
            print("passed only by itself:" if result["name"] in alone else "failed:", name)
            print(result.get("stdout", "")[-6000:])
            print(result.get("stderr", "")[-6000:])


def unit_test_names(folder):
    done = run(["meson", "test", "-C", folder, "--list"], capture_output=True, text=True)
    return [line.rsplit(" ", 1)[-1] for line in done.stdout.splitlines() if "/" in line]


def run_pytest(paths, binary, options):
    """The test cases of one run as (node id, "passed", "failed" or "skipped", message)."""
    report = ROOT / "build" / "pytest.xml"
    report.unlink(missing_ok=True)
    run([*PYTEST, "--junitxml", report, "-o", "junit_family=xunit2", *options, *paths],
        env=environment(POSTRIDER=os.environ.get("POSTRIDER", str(ROOT / binary))))
    found = []
    for case in ElementTree.parse(report).getroot().iter("testcase") if report.exists() else ():
        node = f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"
        if case.find("skipped") is not None:
            found.append((node, "skipped", case.find("skipped").get("message")))
        else:
            ok = case.find("failure") is None and case.find("error") is None
            found.append((node, "passed" if ok else "failed", ""))
    return found


def scripts(total, paths, binary="build/postrider", keyword=None, label=None):
    say(label or f"scripts: {' '.join(paths)}")
    cases = run_pytest(paths, binary, ["-k", keyword] if keyword else ["-n", "3", "--dist", "load"])
    if not cases and not keyword:
        total.add(False, f"pytest did not run: {' '.join(paths)}")
    failed = {node for node, result, _ in cases if result == "failed"}
    alone = set()
    if 0 < len(failed) <= 5:
        # beside others a test may be starved of the two cores; what fails by itself too has failed
        say(f"again, by themselves: {' '.join(sorted(failed))}")
        alone = {node for node, result, _ in run_pytest(sorted(failed), binary, []) if result == "passed"}
    for node, result, message in cases:
        if result == "skipped":
            total.skipped += 1
            print("skipped:", node, message)
        else:
            total.add(result == "passed" or node in alone, f"{binary}: {node}")
            if node in alone:
                print("passed only by itself:", node)


def fuzz_targets():
    return sorted(p for p in (ROOT / "build-fuzz").rglob("*_fuzz") if p.is_file() and os.access(p, os.X_OK))


def fuzz(total, targets, seed):
    say(f"{len(targets)} fuzz targets, {FUZZ_SECONDS} s each")
    jobs = list(targets)
    running = []
    artifacts = ROOT / "build-fuzz" / "findings"
    artifacts.mkdir(exist_ok=True)
    while jobs or running:
        while jobs and len(running) < 2:
            target = jobs.pop(0)
            log = open(artifacts / f"{target.name}.log", "w+")
            running.append((target, log, subprocess.Popen(
                [str(target), f"-max_total_time={FUZZ_SECONDS}", "-rss_limit_mb=2048", "-timeout=10", f"-seed={seed}",
                 f"-artifact_prefix={artifacts}/{target.name}-"], stdout=log, stderr=subprocess.STDOUT, cwd=artifacts,
                env=environment())))
        target, log, process = running.pop(0)
        code = process.wait()
        total.add(code == 0, f"fuzz {target.name} (input kept in {artifacts})")
        if code:
            log.seek(0)
            print(log.read()[-4000:])
        log.close()


def sources(total):
    say("checks of the sources")
    check(total, "ranks of the includes", ["/usr/bin/python3", "tests/check_includes.py"])
    check(total, "the check of the ranks finds a wrong one", ["/usr/bin/python3", "tests/check_includes.py", "--self-test"])
    check(total, "generated documents", ["/usr/bin/python3", "tests/check_docs.py"])


def everything(total, quick, seed):
    build("build")
    sources(total)
    unit_tests(total, "build")
    scripts(total, SCRIPTS)
    if quick:
        return
    build("build-asan")
    unit_tests(total, "build-asan")
    scripts(total, ["tests/dialogue", "tests/system"], binary="build-asan/postrider",
            label="dialogues and system tests under ASan and UBSan")
    build("build-tsan")
    unit_tests(total, "build-tsan", [n for n in unit_test_names("build-tsan") if n.split("/")[0] in THREADED])
    scripts(total, ["tests/system/test_loops.py"], binary="build-tsan/postrider", label="several loops under TSan")
    build("build-fuzz")
    fuzz(total, fuzz_targets(), seed)


def selected(total, names, seed):
    build("build")
    units = unit_test_names("build")
    for name in names:
        found = [u for u in units if name in u]
        if found:
            unit_tests(total, "build", found)
        path = ROOT / name
        if name.startswith("tests/") and path.exists():
            scripts(total, [name])
        else:
            done = run([*PYTEST, "--collect-only", "-k", name, *SCRIPTS], capture_output=True, text=True)
            if "::" in done.stdout:
                scripts(total, SCRIPTS, keyword=name)
        if name.endswith("_fuzz"):
            build("build-fuzz")
            fuzz(total, [t for t in fuzz_targets() if t.name == name], seed)
    if not total.passed + total.failed + total.skipped:
        sys.exit(f"nothing is called {' or '.join(names)}; see ./test --list")


def list_names():
    build("build")
    print("\n".join(unit_test_names("build")))
    run([*PYTEST, "--collect-only", *SCRIPTS])
    print("\n".join(sorted(p.stem for p in (ROOT / "src").rglob("*_fuzz.c"))))


def main():
    parser = argparse.ArgumentParser(usage=USAGE, add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.list:
        return list_names()
    total = Sum()
    if arguments.names:
        selected(total, arguments.names, arguments.seed)
    else:
        everything(total, arguments.quick, arguments.seed)
    for name in total.names:
        print(f"failed: {name}")
    minutes, seconds = divmod(int(time.monotonic() - total.began), 60)
    say(f"took {minutes} min {seconds} s, seed {arguments.seed}")
    print(total.line(), flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
