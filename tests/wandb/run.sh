#!/bin/bash
# run.sh MAKE_OFFLINE_RUN: python_sync_test.py with the Python package from @wandb_python.
set -euo pipefail
readonly version="$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [[ "${version}" != 3.11 ]]; then
  echo "python3 is ${version}, and the wheels of third_party/wandb/wandb_python.lock are for 3.11 (Debian 12)" >&2
  exit 1
fi
export PYTHONPATH="${TEST_SRCDIR}/wandb_python" PYTHONDONTWRITEBYTECODE=1
# -S: no package of this machine.
exec python3 -S "${TEST_SRCDIR}/${TEST_WORKSPACE}/tests/wandb/python_sync_test.py" "$(realpath "$1")"
