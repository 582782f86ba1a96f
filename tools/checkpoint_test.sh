#!/bin/bash
# checkpoint_test.sh PROGRAMS AND CONFIG: see checkpoint_test.py.
exec env PYTHONDONTWRITEBYTECODE=1 python3 "${TEST_SRCDIR}/${TEST_WORKSPACE}/tools/checkpoint_test.py" "$@"
