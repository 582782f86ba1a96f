#!/bin/bash
# run.sh MAKE_OFFLINE_RUN: `wandb sync` of the Python package from @wandb_python uploads an offline run of ours.
set -euo pipefail
readonly version="$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [[ "${version}" != 3.11 ]]; then
  echo "python3 is ${version}, and the wheels of third_party/wandb/wandb_python.lock are for 3.11 (Debian 12)" >&2
  exit 1
fi
export PYTHONPATH="${TEST_SRCDIR}/wandb_python" PYTHONDONTWRITEBYTECODE=1
# -S: no package of this machine.
exec python3 -S "${TEST_SRCDIR}/${TEST_WORKSPACE}/tools/wandb/testing/check_sync.py" "$(realpath "$1")" \
  python3 -S -m wandb sync
