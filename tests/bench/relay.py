#!/usr/bin/python3
"""Throughput of the whole path, in turn against Debian's Postfix: accepted, synced, relayed to a sink.

For each server: a generator (smtp-source) with SESSIONS kept sessions sends MESSAGES messages of SIZE octets to the server,
which relays them to a sink (smtp-sink); the clock runs from the first octet until the server's queue is empty. CPU seconds
are those of the server's own processes (user and system, /proc/PID/stat). System calls and syncs are counted in a separate,
shorter run under strace -c (--syscalls). Pairs are run in turn; the ratio within a pair counts, for machines drift.

Postfix gets a private instance with its limits raised for loopback (process limits, destination concurrency, no client
limits, no chroot); nothing of its durability is changed.

With --hold delivery is held on both sides and only the acceptance counts (every 250 after its sync, both).

Examples:  tests/bench/relay.py --pairs 3 --messages 30000
           tests/bench/relay.py --hold --alone --sessions 500 -- --sync-delay 5ms
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from conftest import Postrider, free_port, wait_until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
default_transport = smtp
relay_transport = smtp
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_destination_concurrency_limit = 50
default_destination_concurrency_limit = 50
initial_destination_concurrency = 50
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = static:all
default_process_limit = 200
qmgr_message_active_limit = 50000
in_flow_delay = 0
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
alias_maps =
alias_database =
"""
MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def cpu_seconds(pids):
    """CPU of living processes, and of their ended children that were waited for."""
    total = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(fields[i]) for i in (11, 12, 13, 14))
    return total / TICKS


def descendants(pid):
    found = [pid]
    for parent in found:
        done = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True)
        found += [int(p) for p in done.stdout.split()]
    return found


class Postfix:
    name = "Postfix"

    def __init__(self, folder, sink, hold=False):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir()
        self.dir.chmod(0o755)
        self.port = free_port()
        config = self.dir / "config"
        for sub in ("config", "queue", "data"):
            (self.dir / sub).mkdir()
        shutil.chown(self.dir / "data", "postfix")
        (config / "main.cf").write_text(MAIN_CF.format(dir=self.dir, sink=sink) + ("defer_transports = smtp\n" if hold else ""))
        (config / "master.cf").write_text(MASTER_CF.format(port=self.port))
        (config / "postfix-script").symlink_to("/usr/lib/postfix/sbin/postfix-script")
        (config / "postfix-files").symlink_to("/etc/postfix/postfix-files")
        self.config = config
        subprocess.run(["postfix", "-c", str(config), "start"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.pid = int((self.dir / "queue/pid/master.pid").read_text())

    def pids(self):
        return descendants(self.pid)

    def is_empty(self):
        return not any(any(files) for part in ("maildrop", "incoming", "active", "deferred")
                       for _, _, files in os.walk(self.dir / "queue" / part))

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.config), "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Ours:
    name = "Postrider"

    def __init__(self, folder, sink, arguments=()):
        self.server = Postrider(folder, "--relay-from", "127.0.0.0/8", "--relay-to", f"127.0.0.1:{sink}", *arguments)
        self.server.start()
        self.port = self.server.mx

    def pids(self):
        return descendants(self.server.process.pid)

    def is_empty(self):
        return self.server.queue("--limit", "1") == []

    def stop(self):
        self.server.stop()


class Sink:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(["smtp-sink", "-u", "nobody", f"127.0.0.1:{self.port}", "2000"] if os.geteuid() == 0
                                        else ["smtp-sink", f"127.0.0.1:{self.port}", "2000"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def generate(port, messages, sessions, size):
    # -d: sessions are kept; -N: each recipient its own name
    subprocess.run(["smtp-source", "-d", "-s", str(sessions), "-l", str(size), "-m", str(messages),
                    "-f", "me@client.example.test", "-t", "bob@outside.test", f"127.0.0.1:{port}"], check=True,
                   stdout=subprocess.DEVNULL)


def measure(server, options, messages):
    generate(server.port, options.sessions * 20, options.sessions, options.size)  # warm up
    if not options.hold:
        wait_until(server.is_empty, 60, "warm-up drains")
    pids = server.pids()
    cpu, began = cpu_seconds(pids), time.monotonic()
    generate(server.port, messages, options.sessions, options.size)
    accepted = time.monotonic() - began
    if not options.hold:
        wait_until(server.is_empty, 300, "queue drains")
    took = time.monotonic() - began
    cpu = cpu_seconds(sorted(set(pids) | set(server.pids()))) - cpu
    return {"per_second": messages / took, "accepted_per_second": messages / accepted, "cpu_per_1000": cpu * 1000 / messages}


def syscalls(options):
    """Calls and syncs of the mta process for each message, under strace -c."""
    with tempfile.TemporaryDirectory() as folder:
        sink = Sink()
        server = Ours(pathlib.Path(folder) / "server", sink.port, options.arguments)
        report = pathlib.Path(folder) / "strace"
        generate(server.port, options.sessions * 20, options.sessions, options.size)
        wait_until(server.is_empty, 60, "warm-up drains")
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", str(report), "-p", str(server.server.children()["mta"])],
                                  stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        messages = 5000
        generate(server.port, messages, options.sessions, options.size)
        wait_until(server.is_empty, 60, "queue drains")
        tracer.send_signal(2)
        tracer.wait(20)
        calls = {}
        for line in report.read_text().splitlines():
            words = line.split()
            if len(words) >= 5 and words[0].replace(".", "").isdigit() and words[-1] != "total":
                calls[words[-1]] = int(words[3])
        server.stop()
        sink.stop()
    print(f"system calls a message: {sum(calls.values()) / messages:.1f}, syncs {calls.get('fdatasync', 0) / messages:.3f}")
    for name, count in sorted(calls.items(), key=lambda c: -c[1])[:12]:
        print(f"  {name:16} {count / messages:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=30000, help="for Postrider; Postfix gets a tenth")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--hold", action="store_true", help="acceptance alone")
    parser.add_argument("--alone", action="store_true", help="without Postfix")
    parser.add_argument("--syscalls", action="store_true")
    parser.add_argument("arguments", nargs="*", help="for `postrider local`, behind --")
    options = parser.parse_args()
    if options.syscalls:
        return syscalls(options)
    ratios = []
    for pair in range(options.pairs):
        results = {}
        for kind in (Ours,) if options.alone else (Ours, Postfix):
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o755)
                sink = Sink()
                if kind is Ours:
                    server = Ours(pathlib.Path(folder) / "s", sink.port, options.arguments + ["--hold"] * options.hold)
                else:
                    server = Postfix(pathlib.Path(folder) / "s", sink.port, options.hold)
                try:
                    messages = options.messages if kind is Ours else options.messages // 10
                    r = results[kind.name] = measure(server, options, messages)
                finally:
                    server.stop()
                    sink.stop()
            relayed = "" if options.hold else f"relayed {r['per_second']:8.0f}/s  "
            print(f"{pair + 1}. {kind.name:9}  {relayed}accepted {r['accepted_per_second']:8.0f}/s  "
                  f"CPU s per 1000: {r['cpu_per_1000']:.3f}", flush=True)
        if not options.alone:
            ratios.append(results["Postrider"]["per_second"] / results["Postfix"]["per_second"])  # held: accepted
    if ratios:
        print(f"ratio Postrider / Postfix: median {statistics.median(ratios):.1f}  "
              f"({', '.join(f'{r:.1f}' for r in ratios)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
