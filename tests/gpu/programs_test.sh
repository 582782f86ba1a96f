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
mkdir "${work}/python"
printf '#!/bin/bash\nexit 1\n' >"${work}/python/python3"
chmod +x "${work}/python/python3"
for torch in /nowhere ""; do  # the second: that of a Python without it
  if CUBIST_TORCH="${torch}" PATH="${work}/python:${PATH}" "${work}/run" 2>"${work}/log"; then exit 1; fi
  grep -q "no LibTorch.*CUBIST_TORCH" "${work}/log"
done
