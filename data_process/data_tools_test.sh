#!/bin/bash
# data_tools_test.sh TEST: runs the Python test of that name from the runfiles.
set -euo pipefail
cd "${TEST_SRCDIR}/${TEST_WORKSPACE}/data_process"
PYTHONDONTWRITEBYTECODE=1 python3 "$1"
