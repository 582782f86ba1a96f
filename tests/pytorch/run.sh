#!/bin/bash
# run.sh MODULE: a Python test with PyTorch from @pytorch, whose libraries are those of @libtorch.
set -euo pipefail
readonly version="$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [[ "${version}" != 3.11 ]]; then
  echo "python3 is ${version}, and the wheels of third_party/pytorch/pytorch.lock are for 3.11 (Debian 12)" >&2
  exit 1
fi
export PYTHONPATH="${TEST_SRCDIR}/pytorch:${TEST_SRCDIR}/${TEST_WORKSPACE}/tests/pytorch"
export LD_LIBRARY_PATH="${TEST_SRCDIR}/libtorch/lib" PYTHONDONTWRITEBYTECODE=1
# -S: no package of this machine. PyTorch warns that NumPy is missing, which nothing here needs.
exec python3 -S -W "ignore:Failed to initialize NumPy" -m unittest --verbose "$1"
