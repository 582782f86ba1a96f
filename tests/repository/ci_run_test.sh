#!/bin/bash
# .ci/run in a checkout of a few files, with a bazelw that prints what Bazel would: what it counts, and when it fails.
set -uo pipefail

readonly source_tree="${TEST_SRCDIR}/${TEST_WORKSPACE}"
readonly work="${TEST_TMPDIR}/checkout"
failures=0

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

# A checkout in which everything is right: two test targets pass.
prepare() {
  rm -rf "${work}"
  mkdir -p "${work}/.ci"
  cp -L "${source_tree}/.ci/run" "${work}/.ci/run"
  git -C "${work}" init --quiet
  echo 'BasedOnStyle: Google' >"${work}/.clang-format"
  printf 'int main() { return 0; }\n' >"${work}/main.cc"
  printf 'Text.\n\n```sh\n./bazelw run //x:y\n./bazelw test //...\n```\n' >"${work}/README.md"
  cat >"${work}/result" <<'RESULT'
INFO: Build completed successfully, 3 total actions
//a:a_test                                                       (cached) PASSED in 0.1s
//b/c:d_test                                                              PASSED in 2.5s
  Stats over 2 runs: max = 2.5s, min = 2.4s, avg = 2.4s, dev = 0.0s

Executed 1 out of 2 tests: 2 tests pass.
RESULT
  printf '#!/bin/bash\ncd "$(dirname "$0")"\nif [[ "$1" == query ]]; then cat left_out; exit; fi\n' >"${work}/bazelw"
  printf 'echo "${CUBIST_PACKAGES-}$*" >>calls\nif [[ "$*" == *"//manual"* ]]; then cat manual_result; exit; fi\n' >>"${work}/bazelw"
  printf 'cat result >&2\nexit "$(cat code)"\n' >>"${work}/bazelw"
  chmod +x "${work}/bazelw"
  echo 0 >"${work}/code"
  : >"${work}/left_out"
}

expect() { # code, last line
  local output code last
  output="$(cd / && HOME="${TEST_TMPDIR}" "${work}/.ci/run" 2>&1)"
  code=$?
  last="${output##*$'\n'}"
  [[ "${code}" == "$1" && "${last}" == "$2" ]] || fail "${name}: code ${code}, last line '${last}': ${output}"
}

name="all is well"
prepare
expect 0 "5 passed, 0 failed"
[[ "$(<"${work}/calls")" == "test //..." ]] || fail "${name}: called $(<"${work}/calls")"

name="one target fails"
prepare
sed -i 's/(cached) PASSED/         FAILED/; s/2 tests pass/1 test passes and 1 fails locally/' "${work}/result"
echo 3 >"${work}/code"
expect 1 "4 passed, 1 failed"

name="one target runs too long, one could not run"
prepare
sed -i 's/(cached) PASSED/        TIMEOUT/; s/    PASSED in 2.5s/    NO STATUS/' "${work}/result"
echo 3 >"${work}/code"
expect 1 "3 passed, 2 failed"

name="the build fails before any test"
prepare
echo 'ERROR: no such target' >"${work}/result"
echo 1 >"${work}/code"
expect 1 "3 passed, 1 failed"

name="bazel fails though all targets passed"
prepare
echo 8 >"${work}/code"
expect 1 "5 passed, 1 failed"

name="a target is missing from the list"
prepare
sed -i '/a_test/d' "${work}/result"
expect 1 "4 passed, 1 failed"

name="tests that //... leaves out are run and counted"
prepare
echo '//manual:e_test' >"${work}/left_out"
printf '//manual:e_test    PASSED in 1.0s\n\nExecuted 1 out of 1 test: 1 test passes.\n' >"${work}/manual_result"
expect 0 "6 passed, 0 failed"
[[ "$(<"${work}/calls")" == $'test //...\nslurmtest //manual:e_test' ]] || fail "${name}: called $(<"${work}/calls")"

name="the README has another command"
prepare
sed -i 's,test //\.\.\.,test //base/...,' "${work}/README.md"
expect 1 "4 passed, 1 failed"

name="the README's command is not in a fence"
prepare
sed -i '/```/d' "${work}/README.md"
expect 1 "4 passed, 1 failed"

name="no README"
prepare
rm "${work}/README.md"
expect 1 "4 passed, 1 failed"

name="a source is not formatted"
prepare
printf 'int  main( ) { return 0; }\n' >"${work}/main.cc"
expect 1 "4 passed, 1 failed"

name="a heavy header"
prepare
printf '#include <torch/nn.h>\n' >"${work}/heavy.h"
expect 1 "4 passed, 1 failed"
printf '#include <torch/nn/module.h>\n' >"${work}/heavy.h"
expect 0 "5 passed, 0 failed"

((failures == 0)) && echo "all passed"
exit "$((failures > 0))"
