#!/usr/bin/env bash
# Everything that a GPU changes, measured in at most eight minutes on a machine that has one:
#
#   make install
#   .tools/bin/uv sync --locked --python 3.11 --extra pipeline --extra completejourney --extra gpu --all-groups
#   benchmarks/gpu.sh                          results in benchmarks/results/gpu.json
#   benchmarks/gpu.sh --device cpu --small     the same phases on the CPU, to try the script
#
# PYTHON is the interpreter; .venv/bin/python otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
if ! command -v "$python" > /dev/null; then
  echo "gpu.sh: no $python; wanted 'make install', or PYTHON=<interpreter>" >&2
  exit 2
fi
# TensorFlow would take the whole card at once, and hide what is used of it.
export TF_FORCE_GPU_ALLOW_GROWTH=true
export PYTHONDONTWRITEBYTECODE=
exec timeout --kill-after=5 480 "$python" -m benchmarks.gpu "$@"
