#!/bin/bash
# The census over the sources of the programs. To see it without Bazel: python3 tests/state_census/census.py
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
PYTHONDONTWRITEBYTECODE=1 python3 "${runfiles}/tests/state_census/census_test.py" "${runfiles}"
