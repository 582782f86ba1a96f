#!/bin/bash
# Every fenced command of the README does what it says, from a folder like a fresh clone's.
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
mkdir -p "${TEST_TMPDIR}/clone"
cd "${TEST_TMPDIR}/clone"
ln -s "${runfiles}/configs" configs
python3 "${runfiles}/tests/documentation/readme_commands.py" "${runfiles}/README.md" "${runfiles}"
