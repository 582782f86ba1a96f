#!/bin/bash
# The command line of each program is frozen: what --help says is compared with the files *.golden beside this one.
# After a deliberate change of a flag: ./bazelw run //tests/command_line:update_help, and review the difference.
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR:-$0.runfiles}}/cubist"

scratch="$(mktemp --directory)"
trap 'rm -r "${scratch}"' EXIT
failed=0
for program in tools/train tools/bundle tools/checkpoint tools/import_config tools/merge_ckpt tools/slurm_launch tools/wandb_sync data_process/generate_metadata_csv data_process/inspect data_process/synthesize_scenes; do
  name="$(basename "${program}")"
  "${runfiles}/${program}" --help >"${scratch}/${name}.help" 2>"${scratch}/${name}.errors" ||
    { echo "FAILED: ${name} --help ends with exit code $?"; failed=1; }
  [[ ! -s "${scratch}/${name}.errors" ]] || { echo "FAILED: ${name} --help writes to stderr"; failed=1; }
  if [[ -n "${BUILD_WORKSPACE_DIRECTORY:-}" ]]; then
    cp "${scratch}/${name}.help" "${BUILD_WORKSPACE_DIRECTORY}/tests/command_line/${name}.golden"
  elif ! diff -u --label "${name}.golden" --label "${name} --help" "${runfiles}/tests/command_line/${name}.golden" \
    "${scratch}/${name}.help"; then
    echo "FAILED: ${name} --help is not what tests/command_line/${name}.golden says. Scripts rely on flags: if the change is"
    echo "meant, run ./bazelw run //tests/command_line:update_help and commit the difference"
    failed=1
  fi
done
exit "${failed}"
