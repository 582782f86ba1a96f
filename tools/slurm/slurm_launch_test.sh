#!/bin/bash
# slurm_launch_test.sh PROGRAMS AND CONFIG: see slurm_launch_test.py.
folder="${RUNFILES_DIR:-${TEST_SRCDIR:-$0.runfiles}}/cubist/tools/slurm"
export TEST_TMPDIR="${TEST_TMPDIR:-$(mktemp --directory)}"
exec env PYTHONPYCACHEPREFIX="${TEST_TMPDIR}/pycache" python3 "${folder}/slurm_launch_test.py" "$@"
