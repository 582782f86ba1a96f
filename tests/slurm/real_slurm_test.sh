#!/bin/bash
# real_slurm_test.sh NAME: NAME.py, a test on a real SLURM, which cluster.py starts and stops on this machine.
exec env PYTHONDONTWRITEBYTECODE=1 python3 "${TEST_SRCDIR}/${TEST_WORKSPACE}/tests/slurm/$1.py"
