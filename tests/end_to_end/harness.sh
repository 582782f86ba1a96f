# Sourced by the tests of this folder: the programs, a folder to work in, and checks.
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
train="${runfiles}/tools/train"
tiny="${runfiles}/tests/end_to_end/tiny.textproto"
work="${TEST_TMPDIR}/work"
mkdir -p "${work}"
cd "${work}"
export BUILD_WORKING_DIRECTORY="${work}"

fail() {
  echo "FAILED: $*" >&2
  [[ -f log ]] && tail -n 40 log >&2
  exit 1
}

# expect CODE COMMAND...: runs the command with its output in the file `log` and checks its exit code.
commands=0
expect() {
  local wanted="$1" code=0
  commands=$((commands + 1))
  shift
  "$@" >log 2>&1 || code=$?
  [[ "${code}" == "${wanted}" ]] || fail "exit code ${code}, not ${wanted}: $*"
}

# wait_for FILE TEXT PID: until the file has that text, which the process with that number writes.
wait_for() {
  local i
  for ((i = 0; i < 2400; ++i)); do
    grep -qF -- "$2" "$1" && return
    kill -0 "$3" 2>/dev/null || fail "it ended before it said: $2"
    sleep 0.05
  done
  fail "it did not say: $2"
}

# log_says TEXT...: the last command said each of these.
log_says() {
  local text
  for text in "$@"; do
    grep -qF -- "${text}" log || fail "nothing said: ${text}"
  done
}

# same_checkpoint A B STEP: tensors and moments of the two runs are equal, bit for bit.
same_checkpoint() {
  local file
  for file in model optimizer ema; do
    cmp "$1/checkpoints/step-$3/${file}.safetensors" "$2/checkpoints/step-$3/${file}.safetensors" ||
      fail "${file} of $1 and $2 differ at step $3"
  done
}
