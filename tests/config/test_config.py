"""check-config and `config`, the sample, the JSON Schema, the pages made from the option table, the flags of `local`."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jsonschema
import pytest
import yaml

from conftest import BINARY, ROOT

SAMPLE = ROOT / "docs" / "postrider.yaml"
SCHEMA = json.loads((ROOT / "docs" / "schema.json").read_text())
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def postrider(*arguments, code=0, env=None, cwd=None):
    done = subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=cwd,
                          env={**os.environ, **(env or {})})
    assert done.returncode == code, done.stdout + done.stderr
    return done


def check(path, code=0, env=None):
    """The answer of check-config as an object."""
    return json.loads(postrider("check-config", "-c", path, "--json", code=code, env=env).stdout)


def schema_errors(text):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(yaml.safe_load(text))]


def switched_on(text):
    """The sample with every option in it: `#` right before an option, or before the two blanks of an item's next line."""
    return re.sub(r"^( *)#((?=[^ #\n])|(?=  \S))", r"\1", text, flags=re.M)


def complete_sample(folder):
    """The sample with every option, its files beside it."""
    text = switched_on(SAMPLE.read_text())
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                    "-subj", "/CN=mail.example.org", "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
                   check=True, capture_output=True)
    (folder / "aliases").write_text("# names\nsales: ann, bob@example.net\n")
    (folder / "printer.secret").write_text("a printer's\n")
    (folder / "domains.yaml").write_text("domains:\n  - name: example.com\n")
    text = re.sub(r"/etc/(letsencrypt/live/mail.example.org|postrider)/", "", text)
    (folder / "postrider.yaml").write_text(text)
    (folder / "postrider.yaml").chmod(0o600)
    return folder / "postrider.yaml"


# -- the sample


def test_sample_is_fine():
    answer = check(SAMPLE)
    assert answer == {"ok": True, "mistakes": [], "warnings": []}


def test_sample_with_every_option_is_fine(tmp_path):
    path = complete_sample(tmp_path)
    answer = check(path, env={"SHOP_PASSWORD": "s", "RELAY_PASSWORD": "r"})
    assert answer == {"ok": True, "mistakes": [], "warnings": []}
    assert schema_errors(path.read_text()) == []


def test_show_hides_secrets(tmp_path):
    env = {"SHOP_PASSWORD": "shopsecret", "RELAY_PASSWORD": "relaysecret"}
    shown = postrider("config", "show", "-c", complete_sample(tmp_path), env=env).stdout
    assert "secret\n" not in shown and "shopsecret" not in shown and "relaysecret" not in shown and "printer's" not in shown
    assert "(hidden)" in shown and "example.com" in shown and "$y$" not in shown
    assert yaml.safe_load(shown)["hostname"] == "mail.example.org"


def test_sample_names_every_section():
    sections = set(yaml.safe_load(switched_on(SAMPLE.read_text())))
    missing = {name for name, value in SCHEMA["properties"].items() if "type" in value and
               isinstance(value["type"], list)} - sections
    assert missing <= {"dns", "spool", "delivery"}  # nothing there that a first file needs


# -- the pages


def test_pages_are_what_the_binary_prints():
    done = subprocess.run([sys.executable, ROOT / "tests" / "check_docs.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def rendered(page):
    """A manual page as text; anything groff complains about is a failure."""
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-Kutf8", ROOT / "docs" / "man" / page], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    return re.sub(".\b", "", done.stdout)


def test_manual_of_the_file():
    assert "queue_lifetime" in rendered("postrider.yaml.5")


def test_manual_of_the_commands():
    page = rendered("postrider.1")
    commands = re.findall(r"^  ([a-z][a-z-]+)  ", postrider("help").stdout, re.M)
    flags = re.findall(r"^ +(--[a-z-]+)", postrider("local", "--help").stdout, re.M)
    assert len(commands) > 8 and len(flags) > 20
    plain = page.replace("\u2010", "-").replace("\u2212", "-")
    assert [name for name in commands + flags if name not in plain] == []


# -- the schema and the reader agree: name, text, does the schema refuse it too?

WRONG = [
    ("unknown option", "limits: {max_mesage_size: 1M}", True),
    ("unknown section", "limit: {}", True),
    ("wrong kind", "limits: []", True),
    ("list as mapping", "domains: {name: a.org}", True),
    ("number out of range", "loops: 1000", True),
    ("number as text", "loops: many", True),
    ("duration without unit", "retry: {first: 300}", True),
    ("duration of nothing", "retry: {first: soon}", True),
    ("duration too long", "retry: {queue_lifetime: 90d}", False),
    ("size of nothing", "limits: {max_message_size: big}", True),
    ("size too small", "limits: {max_message_size: 10}", True),
    ("no boolean", "delivery: {hold: maybe}", True),
    ("unknown word", "log: {text: loud}", True),
    ("address without port", "listeners: [{role: mx, address: 127.0.0.1}]", True),
    ("address by name", "listeners: [{role: mx, address: 'localhost:25'}]", True),
    ("missing role", "listeners: [{address: '127.0.0.1:25'}]", True),
    ("missing name", "domains: [{}]", True),
    ("no network", "relay_from: everyone", True),
    ("no domain name", "hostname: my_host", True),
    ("secret of unknown form", "accounts: [{address: a@a.org, password: {path: x}}]", True),
    ("no password", "accounts: [{address: a@a.org}]", False),
    ("smarthost without host", "routes: [{domains: '*', via: smarthost}]", False),
    ("tag", "user_mta: !!str x", False),
]


@pytest.mark.parametrize("name, text, by_schema", WRONG, ids=[row[0] for row in WRONG])
def test_wrong_files(tmp_path, name, text, by_schema):
    path = tmp_path / "wrong.yaml"
    path.write_text(text + "\n" + ("" if "hostname" in text else "hostname: a.org\n"))
    answer = check(path, code=78)
    assert not answer["ok"] and answer["mistakes"][0]["line"] == 1 and answer["mistakes"][0]["file"] == str(path)
    assert bool(schema_errors(text)) == by_schema


RIGHT = [
    "tls:\nlimits:\ndomains:\n",
    "retry: {first: 1ms, longest: 6d}",
    "retry: {delay_warning: 0}",
    "limits: {max_message_size: 26214400, max_header_size: 64KiB}",
    "relay_from: ['::1', 10.0.0.0/8]",
    "listeners: [{role: alternative, address: '[::1]:2525'}]",
    "routes: [{domains: [a.org, .b.org, '*'], via: mx, tls: required}]",
    "accounts: [{address: a@a.org, password: {text: x}}, {address: b@a.org, password_hash: '*'}]",
    "delivery: {hold: true, idle_connection: 1m30s}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_files(tmp_path, text):
    path = tmp_path / "right.yaml"
    path.write_text(text + "\nhostname: mail.a.org\n")
    assert check(path)["ok"]
    assert schema_errors(text) == []


# -- check-config


def test_mistakes_for_people(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("hostname: a.org\nlimits:\n  max_mesage_size: 25M\n  max_errors: 0\n")
    done = postrider("check-config", "-c", path, code=78)
    lines = done.stderr.splitlines()
    assert lines[0] == f"{path}:3:3: limits.max_mesage_size: unknown option; did you mean max_message_size?"
    assert lines[1].startswith(f"{path}:4:15: limits.max_errors: must be at least 1")
    assert lines[2] == f"{path}: 2 mistakes"
    assert done.stdout == ""


def test_deep_mistakes(tmp_path):
    path = complete_sample(tmp_path)
    env = {"SHOP_PASSWORD": "s", "RELAY_PASSWORD": "r"}
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "privkey.pem"], check=True,
                   capture_output=True)
    (tmp_path / "aliases").write_text("ok: ann\nbad: |/bin/sh\n")
    answer = check(path, code=78, env=env)
    said = {m["option"]: m["text"] for m in answer["mistakes"]}
    assert set(said) == {"tls.certificate", "domains.alias_file"}
    assert "key" in said["tls.certificate"]
    assert said["domains.alias_file"].startswith('line 2: "|/bin/sh" would run a program')


def test_warnings(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text("hostname: a\nrelay_from: [0.0.0.0/0]\nspool: {sync_delay: 1ms}\ndns: {mx_port: 2525}\n"
                    "domains: [{name: a.org}]\naliases: [{address: x@a.org, targets: nobody@a.org}]\n"
                    "accounts: [{address: ann@a.org, password: x}]\nlisteners: [{role: mx, address: '127.0.0.1:25'}]\n")
    path.chmod(0o644)
    warnings = check(path)["warnings"]
    said = " ".join(w["option"] + ": " + w["text"] for w in warnings)
    for part in ("relay_from: 0.0.0.0/0", "spool.sync_delay", "dns.mx_port", "nobody@a.org", "listeners: there are accounts",
                 "every user of this machine can read", "hostname"):
        assert part in said
    assert "warning: " in postrider("check-config", "-c", path).stderr


def test_certificate_that_ends(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
                    "-subj", "/CN=a.org", "-keyout", tmp_path / "k.pem", "-out", tmp_path / "c.pem"], check=True,
                   capture_output=True)
    path = tmp_path / "p.yaml"
    path.write_text("hostname: mail.a.org\ntls: {certificate: c.pem, key: k.pem}\nlisteners: [{role: submission, address: '127.0.0.1:25'}]\n")
    warnings = check(path)["warnings"]
    assert len(warnings) == 1 and re.fullmatch("ends in [23] days", warnings[0]["text"])


def test_unreadable(tmp_path):
    assert check(tmp_path / "none.yaml", code=78)["mistakes"][0]["text"].startswith("cannot be opened: No such file")
    assert check(tmp_path, code=78)["mistakes"][0]["text"].startswith("cannot be read: it is a folder")


def test_usage():
    assert "did you mean --config?" in postrider("check-config", "--confg", "x", code=64).stderr
    assert "say what" in postrider("config", "shwo", code=64).stderr
    assert postrider("serve", code=64).stderr.startswith("postrider serve: which configuration?")


@pytest.mark.parametrize("words, expected", [
    ("sevre", "postrider: there is no command 'sevre'; did you mean serve?\nTry: postrider help\n"),
    ("nonsense", "postrider: there is no command 'nonsense'\nTry: postrider help\n"),
    ("queue lst", "postrider queue: there is no command 'lst'; did you mean list?\nTry: postrider queue --help\n"),
    ("user lsit", "postrider user: there is no command 'lsit'; did you mean list?\nTry: postrider user --help\n"),
    ("queue show", "postrider queue show: which message? Give its id, as `postrider queue list` shows it\n"
                   "Try: postrider queue show --help\n"),
    ("user add", "postrider user add: one address is wanted, name@domain\nTry: postrider user add --help\n"),
    ("config shwo", "postrider config: say what: show, reference, schema or manual\nTry: postrider config --help\n"),
    ("local --bogs", "postrider local: unknown option --bogs\nTry: postrider local --help\n"),
])
def test_misspelt_commands(words, expected):
    assert postrider(*words.split(), code=64).stderr == expected


# -- the flags of local


def local(*flags, code=0, env=None):
    return postrider("local", "--print-config", *flags, code=code, env=env)


def test_local_presets():
    config = yaml.safe_load(local(env={"XDG_STATE_HOME": "/state"}).stdout)
    assert config["dir"] == "/state/postrider/local"
    assert {l["role"]: l["address"] for l in config["listeners"]} == {
        "mx": ["127.0.0.1:2525"], "submission": ["127.0.0.1:2587"], "submissions": ["127.0.0.1:2465"]}
    assert config["routes"] == [{"domains": ["*"], "via": "capture"}]
    assert "relay_from" not in config
    config = yaml.safe_load(local(env={"XDG_STATE_HOME": "relative", "HOME": "/home/ann"}).stdout)
    assert config["dir"] == "/home/ann/.local/state/postrider/local"


def test_local_flags(tmp_path):
    out = local("--dir", "data", "--mx", "2526", "--mx=[::1]:2526", "--hostname=MX.test", "--domain", "a.test", "--domain", "A.test",
                "--user", "ann@b.test:p:a=s\"s${X}", "--user", "bob@a.test:x", "--alias", "i@a.test=ann@b.test,x@out.test",
                "--relay-to", "127.0.0.1:26", "--relay-from", "10.0.0.0/8", "--relay-from", "::1", "--hold",
                "--mx-port", "2527", "--max-message-size", "1M", "--retry-max", "1s", "--queue-lifetime", "1m",
                "--sync-delay", "5ms", "--set", "limits.max_errors=3", "--set", "user_mta=x", "--route", "l.test,.m.test=lmtp:unix:/run/l",
                "--loops", "2").stdout
    config = yaml.safe_load(out)
    assert config["dir"] == str(pathlib.Path.cwd() / "data")
    assert config["listeners"] == [{"role": "mx", "address": ["127.0.0.1:2526", "[::1]:2526"]}]
    assert [d["name"] for d in config["domains"]] == ["a.test", "b.test"]
    assert config["accounts"][0] == {"address": "ann@b.test", "password": {"text": "p:a=s\"s${X}"}}
    assert config["aliases"] == [{"address": "i@a.test", "targets": ["ann@b.test", "x@out.test"]}]
    assert config["routes"] == [{"domains": ["l.test", ".m.test"], "via": "lmtp", "host": "unix:/run/l"},
                                {"domains": ["*"], "via": "smarthost", "host": "127.0.0.1:26"}]
    assert config["relay_from"] == ["10.0.0.0/8", "::1"]
    assert config["retry"] == {"first": "1s", "longest": "1s", "queue_lifetime": "1m"}
    assert config["delivery"] == {"hold": "true"}
    assert config["limits"] == {"max_message_size": "1M", "max_errors": "3"}
    path = tmp_path / "made.yaml"
    path.write_text(out)
    assert check(path)["ok"]


def test_local_dns():
    config = yaml.safe_load(local("--dns", "127.0.0.1:5353").stdout)
    assert config["routes"] == [{"domains": ["*"], "via": "mx"}] and config["dns"]["server"] == "127.0.0.1:5353"


MISTAKEN_FLAGS = [
    (["--relai-to", "x"], "did you mean --relay-to?"),
    (["--mx"], "--mx wants a value"),
    (["--mx", "foo"], "--mx, --submission, --smtps: expected ADDR:PORT"),
    (["--user", "ann"], '--user: expected NAME@DOMAIN:PASSWORD, found "ann"'),
    (["--user", "ann@a.test"], "--user: expected NAME@DOMAIN:PASSWORD"),
    (["--user", "ann@a.test:"], "--user: expected NAME@DOMAIN:PASSWORD"),
    (["--user", "ann@a_b:x"], "--user: expected an address"),
    (["--alias", "x@a.test"], "--alias: expected NAME@DOMAIN=TARGET"),
    (["--alias", "x@a.test=y@a.test"], "--alias: a.test is not among the domains"),
    (["--capture", "--relay-to", "a:25"], "--capture and --relay-to contradict each other"),
    (["--relay-to", "a"], "--relay-to, --route: expected HOST:PORT"),
    (["--relay-from", "10.0.0.1/8"], "--relay-from: expected a network"),
    (["--mx-port", "0"], "--mx-port: must be at least 1"),
    (["--retry-min", "5"], "--retry-min: expected a duration"),
    (["--retry-min", "5m", "--retry-max", "1m"], "--retry-min: the first wait is longer"),
    (["--max-message-size", "1"], "--max-message-size: must be at least 64K"),
    (["--set", "limits.max_errrs=1"], "limits.max_errrs: unknown option; did you mean max_errors?"),
    (["--set", "routes.via=mx"], "--set: expected SECTION.OPTION=VALUE"),
    (["--route", "a.test=mxx"], "--route: expected mx, smarthost"),
    (["--tls-cert", "/nonexistent"], "--tls-cert: /nonexistent cannot be opened"),
    (["stray"], "'stray' is not understood here"),
]


@pytest.mark.parametrize("flags, said", MISTAKEN_FLAGS, ids=[" ".join(row[0]) for row in MISTAKEN_FLAGS])
def test_local_mistakes(flags, said):
    done = local(*flags, code=64)
    assert said in done.stderr and "Try: postrider local --help" in done.stderr and done.stdout == ""


def test_local_help():
    done = postrider("local", "--help")
    for flag in ("--dir", "--mx", "--submission", "--smtps", "--hostname", "--domain", "--user", "--alias", "--relay-to", "--capture",
                 "--relay-from", "--hold", "--dns", "--mx-port", "--max-message-size", "--retry-min", "--retry-max",
                 "--queue-lifetime", "--sync-delay"):
        assert f" {flag} " in done.stdout
