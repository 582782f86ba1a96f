#!/bin/bash
# python_test.sh FILE: runs that file of the tests, beside which wandb_harness.py may be imported.
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
PYTHONPATH="${runfiles}/tests/end_to_end" PYTHONDONTWRITEBYTECODE=1 exec python3 "${runfiles}/$1" "${@:2}"
