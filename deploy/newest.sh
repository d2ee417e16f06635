#!/usr/bin/env bash
# newest.sh COMMAND ...: runs a command at the root of this checkout where TFX 1.21's libraries run,
# in a Debian 13 root that it makes from packages in .tools/trixie (remove it to start afresh). That
# root has a .venv of its own; this machine's stays as it is. As root, on Debian or Ubuntu.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
root=$here/.tools/trixie

if [[ $EUID -ne 0 ]]; then
    echo "seen user $(id -un); wanted root, to make a Debian 13 root and to enter it" >&2
    exit 1
fi
if ! unshare --mount --pid --fork true 2> /dev/null; then
    echo "seen no right to make namespaces (unshare --mount --pid); wanted it, for a root of its own:" \
        "run this outside of a container, or in a privileged one" >&2
    exit 1
fi
if ! command -v mmdebstrap > /dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends mmdebstrap
fi

if [[ ! -e $root/etc/debian_version ]]; then
    mkdir -p .tools
    # Renamed into place: an interrupted root must not look like a whole one.
    rm -rf "$root.partial"
    mmdebstrap --quiet --variant=minbase \
        --include=ca-certificates,g++,git,make,python3,python3-dev trixie "$root.partial"
    mv "$root.partial" "$root"
fi

mkdir -p .venv "$root/venv" "$root$here"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# The index's certificate may be this machine's own affair.
cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
passed=(SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt)
for name in CI PIP_INDEX_URL UV_DEFAULT_INDEX http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || passed+=("$name=${!name}")
done

# shellcheck disable=SC2016  # the inner shell's own variables
exec unshare --mount --pid --fork bash -euc '
    root=$1 here=$2
    shift 2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --bind "$here" "$root$here"
    mount --bind "$root/venv" "$root$here/.venv"
    exec chroot "$root" env -i "$@"
' bash "$root" "$here" HOME=/root LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin \
    UV_LINK_MODE=copy "${passed[@]}" \
    sh -c 'cd "$1" && shift && exec "$@"' sh "$here" "$@"
