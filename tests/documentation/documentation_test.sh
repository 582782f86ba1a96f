#!/bin/bash
# documentation_test.sh DOCUMENT CHECK.py...: the checks hold, in a folder like a fresh clone.
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
document="${runfiles}/$1"
shift
mkdir -p "${TEST_TMPDIR}/clone"
cd "${TEST_TMPDIR}/clone"
ln -s "${runfiles}/configs" configs
for check in "$@"; do
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="${runfiles}/tests/documentation" \
    python3 "${runfiles}/tests/documentation/${check}" "${document}" "${runfiles}"
done
