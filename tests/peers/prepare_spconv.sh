#!/bin/bash
# prepare_spconv.sh FOLDER: makes FOLDER with spconv.tar.zst (spconv and what it imports, wheels that spconv.lock pins)
# and zstd/ (the program that unpacks it and its libraries), for a GPU machine that reaches no package index.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:?the folder to make}"
python="${PYTHON:-python3}"
work="$(mktemp -d)"
trap 'rm -rf "${work}"' EXIT

"${python}" -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --python-version 3.12 \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --dest "${work}/wheels" \
  --requirement "${here}/spconv.lock"
mkdir -p "${work}/site" "${folder}/zstd"
for wheel in "${work}"/wheels/*.whl; do "${python}" -m zipfile -e "${wheel}" "${work}/site"; done

# The same bytes for the same wheels.
tar --directory "${work}/site" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --create . |
  zstd -19 --long=27 -T1 --quiet --force -o "${folder}/spconv.tar.zst"

zstd="$(command -v zstd)"
cp "${zstd}" "${folder}/zstd/"
ldd "${zstd}" | awk '/lib(lz4|lzma|z)\.so/ { print $3 }' | xargs -I{} cp --dereference {} "${folder}/zstd/"
ls -l "${folder}" "${folder}/zstd"
