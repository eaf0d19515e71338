# What Debian 12 and 13 must have, and how to get only what is missing. Sourced by ./run and ./test.

BUILD_PACKAGES="gcc libc6-dev linux-libc-dev pkgconf meson ninja-build libssl-dev libuv1-dev libunbound-dev libcrypt-dev
  libyaml-dev libsqlite3-dev libjansson-dev libseccomp-dev libsodium-dev dns-root-data ca-certificates"

TEST_PACKAGES="libcmocka-dev clang python3 python3-pytest python3-pytest-xdist python3-pytest-timeout python3-aiosmtpd
  python3-yaml python3-jsonschema python3-dnspython openssl swaks libnet-ssleay-perl msmtp curl nsd postfix
  dovecot-core dovecot-lmtpd libnss-wrapper iproute2 procps sqlite3 git"

# A daemon that a package brings must not start by itself: the tests run private instances.
POLICY=/usr/sbin/policy-rc.d

missing_packages() {
    local package installed
    installed=$(dpkg-query -W -f '${Package} ${Status}\n' "$@" 2>/dev/null | sed -n 's/ .* ok installed$//p') || true
    for package in "$@"; do
        [[ $'\n'$installed$'\n' == *$'\n'"$package"$'\n'* ]] || printf '%s ' "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else
        echo "This needs root to install packages: become root, or install sudo, or run as root:" >&2
        echo "  apt-get install $missing" >&2
        exit 69
    fi
}

# The sanitizers' and libFuzzer's runtime has clang's version in its name.
clang_runtime_package() {
    apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\).*/libclang-rt-\1-dev/p' | head -n 1
}

install_packages() {
    local missing policy_is_ours=
    missing=$(missing_packages "$@")
    [ -z "$missing" ] && return 0
    if ! command -v apt-get >/dev/null; then
        echo "This is not Debian (no apt-get). Please install what corresponds to: $missing" >&2
        exit 69
    fi
    echo "==> Installing with apt: $missing"
    if [ -z "$(find /var/lib/apt/lists -name '*Packages*' -mmin -1440 2>/dev/null | head -n 1)" ]; then
        as_root apt-get update
    fi
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null && as_root chmod 755 "$POLICY"
        policy_is_ours=yes
    fi
    local code=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing || code=$?
    [ -n "$policy_is_ours" ] && as_root rm -f "$POLICY"
    if [ "$code" != 0 ]; then
        echo "apt-get could not install: $missing" >&2
        echo "Try: apt-get update, then this command again." >&2
        exit 69
    fi
}
