#!/usr/bin/env bash
# Installs the Beam runners that the engine tests use, into .tools/. Needs Go 1.24 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.77.0
mkdir -p .tools/bin
if [[ ! -x .tools/bin/prism ]]; then
  # Older versions, the SDK's own among them, fail to verify against the Go checksum database.
  GOBIN="$PWD/.tools/bin" go install "github.com/apache/beam/sdks/v2/go/cmd/prism@$version"
fi
echo "prism $version: .tools/bin/prism"
