#!/bin/bash
# links_test.sh PROGRAM...: none of the programs needs LibTorch's libraries.
set -euo pipefail
checked=0
for program in "$@"; do
  needed="$(readelf --dynamic "${program}" | grep NEEDED)"
  grep -q 'libc\.so' <<<"${needed}" || { echo "${program}: cannot read what it needs: ${needed}"; exit 1; }
  if grep -E 'lib(torch|c10|caffe2|cud|nccl)' <<<"${needed}"; then
    echo "${program} links LibTorch: see what pulls it in with bazel query 'somepath(...)'"
    exit 1
  fi
  checked=$((checked + 1))
done
((checked > 0))
