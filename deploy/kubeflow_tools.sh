#!/usr/bin/env bash
# Installs what the container tests need (Debian 12, as root), and builds the image that they run.
#
#   BASE=IMAGE   base image that is already in the local store; else the store's python:3.11-slim
#                is used where it is there, else a Debian one is made from packages
# PIP_INDEX_URL and SSL_CERT_FILE, where set, hold for the build as well.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=(podman buildah runc mmdebstrap)
image=localhost/hardtower:test
official=docker.io/library/python:3.11-slim-bookworm
made=localhost/hardtower-base:bookworm

missing=()
for tool in "${tools[@]}"; do
    command -v "$tool" > /dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
    if [[ $EUID -ne 0 ]] || ! command -v apt-get > /dev/null; then
        echo "missing: ${missing[*]}; install them, as root on Debian or Ubuntu:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

mkdir -p .tools/kubeflow
# For machines inside a container or with few rights: no network namespace and no systemd.
cat > .tools/kubeflow/containers.conf << 'CONF'
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
export CONTAINERS_CONF=$PWD/.tools/kubeflow/containers.conf

if [[ -z ${BASE:-} ]]; then
    if podman image exists "$official"; then
        BASE=$official
    else
        BASE=$made
        if ! podman image exists "$made"; then
            packages=$(mktemp --suffix=.tar)
            trap 'rm -f "$packages"' EXIT
            mmdebstrap --quiet --variant=minbase \
                --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$packages"
            podman import --quiet "$packages" "$made"
        fi
    fi
fi

secrets=()
if [[ -n ${PIP_INDEX_URL:-} ]]; then
    printf %s "$PIP_INDEX_URL" > .tools/kubeflow/index
    secrets+=(--secret "id=index,src=.tools/kubeflow/index")
fi
if [[ -n ${SSL_CERT_FILE:-} ]]; then
    secrets+=(--secret "id=ca,src=$SSL_CERT_FILE")
fi
buildah bud --quiet --layers --isolation chroot --pull-never -f deploy/Dockerfile -t "$image" \
    --build-arg BASE="$BASE" \
    --build-arg REVISION="$(git describe --always --dirty --abbrev=12 2> /dev/null || true)" \
    "${secrets[@]}" . > /dev/null
podman image inspect --format "$image: {{.Size}} bytes" "$image"
