#!/bin/bash
# The programs for GPUs are there, start on a machine without one, and say by name that there is none.
set -euo pipefail
work="${TEST_TMPDIR}/gpu"
"${TEST_SRCDIR}/cubist/tests/gpu/pack" "${work}" | grep -q "programs in ${work}"
tests=0
for program in "${work}"/*_cuda_test; do
  # Its libraries are found from where it was built, not from here.
  name="$(basename "${program}")"
  original="$(find -L "${TEST_SRCDIR}/cubist" -type f -name "${name}" | head -n 1)"
  listed="$("${original}" --gtest_list_tests | grep -c '^  ')"
  ((listed > 0)) || { echo "${name} has no tests"; exit 1; }
  tests=$((tests + listed))
done
echo "${tests} tests for GPUs"
((tests > 0))
if "${work}/run" -x 2>/dev/null; then exit 1; fi
if CUBIST_TORCH=/nowhere "${work}/run" 2>"${work}/log"; then exit 1; fi
grep -q CUBIST_TORCH "${work}/log"
