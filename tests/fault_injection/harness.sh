# Sourced by the tests of this folder, after end_to_end's harness: `train` with a worker that has faults.
source "${TEST_SRCDIR}/cubist/tests/end_to_end/harness.sh"

# `train` looks for its worker beside itself first.
mkdir -p "${work}/programs"
cp "$(readlink -f "${train}")" "${work}/programs/train"
ln -s "$(readlink -f "${runfiles}/tests/fault_injection/faulty_worker")" "${work}/programs/train_worker"
train="${work}/programs/train"
same_checkpoints="${runfiles}/tests/fault_injection/same_checkpoints"

# with_faults FAULTS COMMAND...
with_faults() {
  local faults="$1"
  shift
  CUBIST_TEST_FAULTS="${faults}" "$@"
}
