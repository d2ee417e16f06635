#!/bin/sh
# environment.sh FOLDER [EXTRA ...]: the locked libraries in FOLDER/env, which also finds what is
# in FOLDER/app. Run beside pyproject.toml and uv.lock.
set -eu
folder=$1
shift
extras=
for extra in "$@"; do
    extras="$extras --extra $extra"
done
uv venv --quiet --python python3 "$folder/env"
# `uv sync` would read the addresses in uv.lock; exported with their hashes the same files may come
# from any index.
# shellcheck disable=SC2086
uv export --quiet --frozen --no-dev --no-emit-project $extras -o /tmp/locked.txt
# Some are published as source; what builds them is of the locked versions too.
sed -n 's/^\(\(setuptools\|wheel\)==[^\\]*\).*/\1/p' /tmp/locked.txt > /tmp/builders.txt
uv pip sync --quiet --python "$folder/env/bin/python" --require-hashes --compile-bytecode \
    --build-constraints /tmp/builders.txt /tmp/locked.txt
libraries=$("$folder/env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Headers for building custom ops, and debugging symbols: a sixth of the image.
rm -rf "$libraries/tensorflow/include"
strip --strip-unneeded "$libraries"/tensorflow/libtensorflow_*.so.2
echo "$folder/app" > "$libraries/hardtower_app.pth"
