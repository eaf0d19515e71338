"""Other people's software as private instances: Postfix, Exim, Dovecot, nsd, and aiosmtpd as a remote that misbehaves as told.

Each lives in a temporary folder on loopback, is started by its fixture and ended with it. What is not installed (or needs root)
skips the tests that want it, with the reason.
"""
import asyncio
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from conftest import ROOT, free_port, wait_until

is_root = os.geteuid() == 0
TOOLS = ROOT / "build" / "test-tools"


def program(name, *folders):
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *folders)))
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def accepts(port, host="127.0.0.1"):
    def try_it():
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return True
    return try_it


def open_folder(prefix):
    """Other users (postfix, dovecot) must get in: not below pytest's own 0700 folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o755)
    return folder


def certificate(folder, name="mx.there.test"):
    """(certificate, key) files of a self-signed certificate for `name`, *.there.test and 127.0.0.1."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:*.there.test,IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def server_tls(folder, name="mx.there.test"):
    cert, key = certificate(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


class Child:
    """A program in the foreground; ended by SIGTERM."""

    def __init__(self, command, folder, ready, timeout=20):
        self.log = folder / "output.txt"
        self.process = subprocess.Popen(command, stdout=self.log.open("wb"), stderr=subprocess.STDOUT, cwd=folder,
                                        start_new_session=True)
        try:
            wait_until(lambda: ready() or self.process.poll() is not None, timeout, f"{command[0]} ready")
            assert self.process.poll() is None, f"{command[0]} ended: {self.log.read_text(errors='replace')}"
        except AssertionError:
            self.stop()
            raise AssertionError(self.log.read_text(errors="replace"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


# -- aiosmtpd, told what to do

VERBS = ("EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "QUIT")


class PlannedSMTP(SMTP):
    """SMTP that asks the remote's plan before it answers."""

    def __init__(self, remote, *args, **kwargs):
        self.remote = remote
        self.greeted = False
        super().__init__(*args, **kwargs)

    async def push(self, status):
        if not self.greeted:
            self.greeted = True
            if await self.act("greeting"):
                return
        await super().push(status)

    async def act(self, stage):
        """True: the plan has answered in the verb's place."""
        action = self.remote.take(stage)
        if action is None:
            return False
        if action[0].isdigit():
            await super().push(action)
            if action.startswith("421"):
                self.transport.close()
        else:
            await getattr(self, "act_" + action)()
        return True

    async def act_drop(self):
        self.transport.close()

    async def act_reset(self):
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def act_garbage(self):
        self._writer.write(b"\x00\xff\x80 this is not SMTP \x1b[31m\r\n" * 3)
        await self._writer.drain()

    async def act_endless(self):
        with contextlib.suppress(ConnectionError):
            for _ in range(100000):
                self._writer.write(b"250-and another thing\r\n")
                await self._writer.drain()

    async def act_longline(self):
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                self._writer.write(b"x" * 10000)
                await self._writer.drain()

    async def act_silence(self):
        await asyncio.sleep(3600)

    async def act_slow(self):
        """The usual 250, an octet at a time."""
        for octet in b"250-slow\r\n250 but sure\r\n":
            self._writer.write(bytes((octet,)))
            await self._writer.drain()
            await asyncio.sleep(0.02)


def _planned(verb):
    original = getattr(SMTP, "smtp_" + verb, None)

    async def method(self, argument):
        self.remote.seen.append((verb, argument))
        if not await self.act(verb):
            await original(self, argument)
    return method


for _verb in VERBS:
    if hasattr(SMTP, "smtp_" + _verb):
        setattr(PlannedSMTP, "smtp_" + _verb, _planned(_verb))


class Remote(Controller):
    """plan("MAIL", "450 4.2.0 wait", "drop"): the first two MAILs are answered so, later ones as usual. Actions: a reply, or
    drop reset garbage endless longline silence slow. Stages: greeting, the verbs, content."""

    def __init__(self, host="127.0.0.1", port=None, extensions=("PIPELINING", "ENHANCEDSTATUSCODES"), tls=None, password=None):
        self.plans, self.seen, self.messages, self.logins = {}, [], [], []
        self.extensions, self.tls, self.password = extensions, tls, password
        super().__init__(self, hostname=host, port=port or free_port(host))

    def factory(self):
        options = {}
        if self.tls:
            options.update(tls_context=self.tls)
        if self.password:
            options.update(authenticator=self.authenticate, auth_required=True)
        return PlannedSMTP(self, self, hostname="mx.there.test", enable_SMTPUTF8=False, **options)

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((mechanism, data.login, data.password))
        return AuthResult(success=data.password == self.password, handled=False)

    def plan(self, stage, *actions):
        self.plans[stage] = list(actions)

    def take(self, stage):
        waiting = self.plans.get(stage)
        return waiting.pop(0) if waiting else None

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        responses[1:1] = [f"250-{name}" for name in self.extensions]
        return responses

    async def handle_DATA(self, server, session, envelope):
        action = self.take("content")
        if action is not None and not action[0].isdigit():
            await getattr(server, "act_" + action)()
            return None
        if action is not None:
            return action
        self.messages.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content, session.ssl is not None))
        return "250 2.0.0 taken"

    def hellos(self):
        return [argument for verb, argument in self.seen if verb == "EHLO"]

    def recipients(self):
        return [r for message in self.messages for r in message[1]]


@pytest.fixture
def remote():
    """A factory of running remotes."""
    running = []

    def start(**kwargs):
        it = Remote(**kwargs)
        it.start()
        running.append(it)
        return it
    yield start
    for it in running:
        it.stop()


# -- nsd

class Names:
    """An authoritative server for test., with what it is given there; for broken.test it can only say SERVFAIL."""

    def __init__(self, zone):
        self.folder = open_folder("nsd-")
        self.port = free_port()
        (self.folder / "test.zone").write_text(
            "$ORIGIN test.\n$TTL 60\n@ SOA ns admin 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n" + zone)
        (self.folder / "nsd.conf").write_text(f"""
server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: "{self.folder}/xfrd.state"
  zonelistfile: "{self.folder}/zone.list"
  xfrdir: "{self.folder}"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: test.
  zonefile: test.zone
zone:
  name: broken.test.
  zonefile: nowhere.zone
""")
        self.child = Child([program("nsd"), "-d", "-c", str(self.folder / "nsd.conf")], self.folder, accepts(self.port))

    def stop(self):
        self.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def names():
    running = []

    def start(zone):
        running.append(Names(zone))
        return running[-1]
    yield start
    for it in running:
        it.stop()


# -- Postfix

class Postfix:
    """A whole Postfix with its own queue. It keeps mail for there.test in Maildirs, and takes more settings."""

    def __init__(self, settings="", sasl=None):
        if not is_root:
            pytest.skip("Postfix starts only as root")
        self.postfix = program("postfix")
        self.folder = open_folder("postfix-")
        self.port = free_port()
        for name in ("etc", "queue", "data", "mail"):
            (self.folder / name).mkdir()
        user = pwd.getpwnam("postfix")
        for name in ("data", "mail"):
            os.chown(self.folder / name, user.pw_uid, user.pw_gid)
        cert, key = certificate(self.folder)
        if sasl:
            settings += f"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {sasl}\nsmtpd_tls_auth_only = yes\n"
        (self.folder / "etc/main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {self.folder}/maillog
maillog_file_prefixes = {self.folder}
myhostname = mx.there.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
virtual_mailbox_domains = there.test
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = inline:{{ ann@there.test=ann/, bob@there.test=bob/ }}
virtual_uid_maps = static:{user.pw_uid}
virtual_gid_maps = static:{user.pw_gid}
virtual_minimum_uid = 1
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtpd_sasl_local_domain =
maximal_backoff_time = 1s
minimal_backoff_time = 1s
queue_run_delay = 1s
smtp_host_lookup = native
{settings}
""")
        (self.folder / "etc/master.cf").write_text(f"""
127.0.0.1:{self.port} inet n - n - - smtpd
""" + """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""")
        done = subprocess.run([self.postfix, "-c", str(self.folder / "etc"), "start"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + self.maillog()
        wait_until(accepts(self.port), 20, "Postfix accepts")

    def maillog(self):
        log = self.folder / "maillog"
        return log.read_text(errors="replace") if log.exists() else ""

    def mails(self, name):
        folder = self.folder / "mail" / name / "new"
        return [f.read_bytes() for f in sorted(folder.iterdir())] if folder.is_dir() else []

    def stop(self):
        subprocess.run([self.postfix, "-c", str(self.folder / "etc"), "stop"], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def postfix():
    running = []

    def start(*args, **kwargs):
        running.append(Postfix(*args, **kwargs))
        return running[-1]
    yield start
    for it in running:
        it.stop()


# -- Exim

def replace(path, content):
    """Other workers may be reading it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(content)
    new.chmod(0o755)
    new.replace(path)


def exim_binary():
    """(program, its user). Debian's Exim cannot be installed beside Postfix: its package is unpacked into build/test-tools, and
    libnss-wrapper gives it the user that it insists on."""
    found = shutil.which("exim4", path="/usr/sbin:/usr/bin")
    if found:
        return found, pwd.getpwnam("Debian-exim").pw_uid
    binary = TOOLS / "exim" / "usr/sbin/exim4"
    if not binary.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            done = subprocess.run(["apt-get", "download", "exim4-daemon-light"], cwd=folder, capture_output=True, text=True)
            packages = list(pathlib.Path(folder).glob("*.deb"))
            if done.returncode != 0 or not packages:
                pytest.skip("exim4-daemon-light is not installed and cannot be downloaded")
            unpacked = pathlib.Path(folder) / "exim"
            subprocess.run(["dpkg", "-x", str(packages[0]), str(unpacked)], check=True)
            (unpacked / "usr/sbin/exim4").chmod(0o755)  # a set-user-id program ignores LD_PRELOAD
            with contextlib.suppress(OSError):  # another worker was faster
                unpacked.rename(TOOLS / "exim")
    library = next(pathlib.Path("/usr/lib").glob("*/libnss_wrapper.so"), None)
    if not library:
        pytest.skip("libnss-wrapper is not installed (the unpacked Exim wants a user Debian-exim)")
    replace(TOOLS / "passwd", "root:x:0:0::/root:/bin/sh\nDebian-exim:x:65533:65533::/nonexistent:/bin/false\n")
    replace(TOOLS / "group", "root:x:0:\nmail:x:8:\nDebian-exim:x:65533:\n")
    wrapper = TOOLS / "exim4"  # also for the Exims that Exim starts, with an environment that it has cleaned
    replace(wrapper, f"#!/bin/sh\nexec env LD_PRELOAD={library} NSS_WRAPPER_PASSWD={TOOLS}/passwd NSS_WRAPPER_GROUP={TOOLS}/group "
                     f'{binary} "$@"\n')
    return str(wrapper), 65533


class Exim:
    """Keeps mail for there.test in one file for each name, and hands the rest to `smarthost` ("127.0.0.1::PORT")."""

    def __init__(self, smarthost=None, settings=""):
        if not is_root:
            pytest.skip("Exim with another configuration runs only as root")
        binary, user = exim_binary()
        self.folder = open_folder("exim-")
        self.port = free_port()
        for name in ("mail", "spool"):
            (self.folder / name).mkdir()
        for path in (self.folder, self.folder / "mail", self.folder / "spool"):
            os.chown(path, user, user)
        cert, key = certificate(self.folder)
        key.chmod(0o644)
        relay = "" if not smarthost else f"""
relay:
  driver = manualroute
  domains = ! +local_domains
  route_list = * {smarthost} byname
  transport = smtp
  self = send
"""
        (self.folder / "exim.conf").write_text(f"""
primary_hostname = mx.there.test
domainlist local_domains = there.test
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/%slog
pid_file_path = {self.folder}/exim.pid
never_users =
keep_environment =
exim_path = {binary}
deliver_drop_privilege = true
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = accept
retry_interval_max = 2s
host_lookup =
rfc1413_hosts =
{settings}
begin acl
acl_rcpt:
  deny message = no such user here
       domains = +local_domains
       ! local_parts = ann : bob
  accept domains = +local_domains
  accept hosts = 127.0.0.1
begin routers
{relay}
local:
  driver = accept
  domains = +local_domains
  local_parts = ann : bob
  transport = file
begin transports
smtp:
  driver = smtp
  hosts_try_fastopen =
  tls_verify_hosts =
  tls_try_verify_hosts =
file:
  driver = appendfile
  file = {self.folder}/mail/$local_part_data
begin retry
* * F,2m,1s
""")
        self.child = Child([binary, "-C", str(self.folder / "exim.conf"), "-bdf", "-q1s"], self.folder, accepts(self.port))

    def mailbox(self, name):
        path = self.folder / "mail" / name
        return path.read_bytes() if path.exists() else b""

    def log(self):
        return "".join(p.read_text(errors="replace") for p in self.folder.glob("*log")) + self.child.log.read_text(errors="replace")

    def stop(self):
        self.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def exim():
    running = []

    def start(*args, **kwargs):
        running.append(Exim(*args, **kwargs))
        return running[-1]
    yield start
    for it in running:
        it.stop()


# -- Dovecot

class Dovecot:
    """LMTP on a port and a Unix socket for ann and bob at there.test (full: bob's quota is used up), and the SASL socket that
    Postfix asks; the password is "secret"."""

    def __init__(self):
        if not is_root:
            pytest.skip("Dovecot's private instance is made for root")
        binary = program("dovecot")
        if not pathlib.Path("/usr/lib/dovecot/lmtp").exists():
            pytest.skip("dovecot-lmtpd is not installed")
        self.folder = open_folder("dovecot-")
        self.port = free_port()
        user = pwd.getpwnam("nobody")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", user.pw_uid, user.pw_gid)
        users = "".join(f"{name}@there.test:{{PLAIN}}secret:{user.pw_uid}:{user.pw_gid}::{self.folder}/mail/{name}::\n" for name in ("ann", "bob"))
        (self.folder / "users").write_text(users)
        (self.folder / "users").chmod(0o644)
        (self.folder / "dovecot.conf").write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols = lmtp
ssl = no
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
auth_mechanisms = plain login
disable_plaintext_auth = no
auth_verbose = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {self.folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.folder}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
  unix_listener lmtp {{
    path = {self.folder}/lmtp
    mode = 0666
  }}
}}
service auth {{
  unix_listener {self.folder}/auth {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")
        self.child = Child([binary, "-F", "-c", str(self.folder / "dovecot.conf")], self.folder, accepts(self.port))
        wait_until(lambda: (self.folder / "auth").exists(), 10, "Dovecot's auth socket")

    def mails(self, name):
        folder = self.folder / "mail" / name / "Maildir/new"
        return [f.read_bytes() for f in sorted(folder.iterdir())] if folder.is_dir() else []

    def stop(self):
        self.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def dovecot():
    running = []

    def start():
        running.append(Dovecot())
        return running[-1]
    yield start
    for it in running:
        it.stop()
