#!/bin/bash
# The two programs copied into a folder of their own, with their libraries in lib/, run without Bazel's folders.
source "$(dirname "$0")/harness.sh"

mkdir -p copy/lib
cp -L "${train}" "${runfiles}/tools/train_worker" copy/
# Links in place of copies: the libraries are gigabytes.
for library in "${runfiles}"/_solib_*/*/*.so*; do ln -s "$(readlink -f "${library}")" copy/lib/; done
for program in train train_worker; do
  readelf --dynamic "copy/${program}" | grep RPATH | grep -qF '[$ORIGIN/lib' || fail "${program}: lib/ is not first in RPATH"
done

expect 0 env --unset=RUNFILES_DIR --unset=TEST_SRCDIR copy/train "${tiny}" --max_steps 1
log_says "step 1/1"

# Without its libraries the worker does not start, and that is no success.
mv copy/lib copy/elsewhere
code=0
env --unset=RUNFILES_DIR --unset=TEST_SRCDIR copy/train "${tiny}" --max_steps 2 >log 2>&1 || code=$?
[[ "${code}" != 0 ]] || fail "it ran without its libraries: the test shows nothing"
