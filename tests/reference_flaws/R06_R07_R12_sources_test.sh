#!/bin/bash
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
PYTHONDONTWRITEBYTECODE=1 python3 "${runfiles}/tests/reference_flaws/sources_test.py" --verbose "${runfiles}"
