#!/bin/bash
# pack FOLDER: the tests and benchmarks for GPUs, without debug information, the libraries that they need beside
# LibTorch, and the script that runs them, in a new folder that can be copied to a machine with a GPU.
set -euo pipefail
if (($# != 1)); then
  echo "usage: pack FOLDER" >&2
  exit 2
fi
folder="$1"
[[ "${folder}" == /* ]] || folder="${BUILD_WORKING_DIRECTORY:-${PWD}}/${folder}"
if [[ -e "${folder}" ]]; then
  echo "pack: ${folder} exists; name a new folder" >&2
  exit 2
fi
runfiles="${RUNFILES_DIR:-$0.runfiles}/cubist"
mkdir -p "${folder}.part/lib"
trap 'rm -rf "${folder}.part"' EXIT
count=0
while IFS= read -r program; do
  strip -o "${folder}.part/$(basename "${program}")" "${program}"
  count=$((count + 1))
  # What neither LibTorch nor the C library brings along; programs look in lib/ first.
  ldd "${program}" | awk '$3 ~ "^/" && $3 !~ "/_solib_" { print $3 }' |
    { grep -vE '/(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+)\.so' || true; } |
    xargs -r cp -nLt "${folder}.part/lib"
done < <(find -L "${runfiles}/kernels" "${runfiles}/models" "${runfiles}/tests" -type f -perm -u+x \
  \( -name '*_cuda_test' -o -name '*_cuda_bench' \) 2>/dev/null | sort)
cp "${runfiles}/tests/gpu/run" "${runfiles}/tests/gpu/resume.textproto" \
  "${runfiles}/tests/golden_values/testdata/voxel_vae.safetensors" "${folder}.part"
chmod u+w "${folder}.part"/*
mv "${folder}.part" "${folder}"
echo "${count} programs in ${folder}; on the machine with the GPU: ${folder}/run"
