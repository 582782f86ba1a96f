#!/bin/bash
# //tools:bundle packs the programs into a folder that runs wherever it is moved to, in an empty environment, with and
# without LibTorch in it. Weights & Biases' programs are among them.
source "$(dirname "$0")/harness.sh"
trap 'rm -rf "${work}"' EXIT  # gigabytes
bundle="${runfiles}/tools/bundle"

# plainly COMMAND...: in an empty environment, but for what sanitizers need.
plainly() { env --ignore-environment ${ASAN_OPTIONS+"ASAN_OPTIONS=${ASAN_OPTIONS}"} "$@"; }

# What cannot be bundled is named, and nothing is made.
mkdir there alone
expect 2 "${bundle}" --output there
log_says "there: exists already"
expect 2 "${bundle}" --output made --programs train,trian
log_says "no program trian to bundle"
cp -L "${bundle}" alone/bundle
expect 2 plainly alone/bundle --output made
log_says "cannot find the program generate_metadata_csv. Looked for:" "alone/generate_metadata_csv"
[[ ! -e made ]] || fail "it made a folder"

# Asked to stop, it leaves nothing.
"${bundle}" --output made/bundle --libtorch >log 2>&1 &
pid=$!
until compgen -G 'made/bundle.tmp-*/lib/libtorch_cpu.so' >/dev/null; do
  kill -0 "${pid}" 2>/dev/null || fail "it ended before it made anything"
  sleep 0.02
done
kill -TERM "${pid}"
code=0
wait "${pid}" || code=$?
[[ "${code}" == 75 ]] || fail "exit code ${code}, not 75"
[[ -z "$(ls made)" ]] || fail "it left $(ls made)"

# With all that it needs, in another place, with another config than the source's.
expect 0 "${bundle}" --output made/bundle --libtorch
log_says "${work}/made/bundle: " "; LibTorch is in it"
mv made/bundle moved
sed 's,"../../configs/,"moved/configs/,' "${tiny}" >tiny.textproto
# wandb-core would not start if patchelf had touched it.
wheel="$(dirname "${runfiles}")/wandb"
cmp moved/wandb-core "${wheel}/wandb/bin/wandb-core" || fail "wandb-core is not the wheel's"
cmp moved/LICENSE.wandb "${wheel}"/wandb-*.dist-info/licenses/LICENSE || fail "its licence is not the wheel's"
export -f plainly
check_sync="${runfiles}/tools/wandb/testing/check_sync.py"
expect 0 python3 -B "${check_sync}" "${runfiles}/tools/wandb/testing/make_offline_run" \
  bash -c 'plainly HOME="${HOME}" WANDB_API_KEY="${WANDB_API_KEY}" WANDB_BASE_URL="${WANDB_BASE_URL}" "$@"' \
  plainly "${work}/moved/wandb_sync"
log_says "${TEST_TMPDIR}/run/wandb/offline-run-"
expect 0 plainly LD_DEBUG=libs LD_DEBUG_OUTPUT="${work}/loaded" moved/train tiny.textproto --max_steps 1
log_says "step 1/1"
(cd moved && sha256sum --check --quiet --strict MANIFEST) || fail "the manifest's hashes differ"
for program in moved/*; do
  [[ -d "${program}" || ! -x "${program}" ]] || expect 0 plainly "${program}" --help
done
((commands > 17)) || fail "there are not all programs"
look=(python3 "${runfiles}/tests/end_to_end/bundle_test.py" "${runfiles}/third_party/libtorch/libtorch.lock")
"${look[@]}" moved loaded.*
rm -r moved

# Without LibTorch it says how the nodes provide it; and so they do.
expect 0 "${bundle}" --output plain
advice="LibTorch is not in it: on the nodes, set LD_LIBRARY_PATH"
log_says "${advice}"
"${look[@]}" plain
grep -qF "# ${advice}" plain/MANIFEST || fail "the manifest does not say it"
sed --in-place 's,"moved/,"plain/,' tiny.textproto
code=0
plainly plain/train tiny.textproto --max_steps 2 >log 2>&1 || code=$?
[[ "${code}" != 0 ]] || fail "it ran without LibTorch: the test shows nothing"
log_says "libc10.so"
libtorch="$(dirname "$(echo "${runfiles}"/_solib_*/*/libtorch_cpu.so)")"
expect 0 plainly LD_LIBRARY_PATH="${libtorch}" plain/train tiny.textproto --max_steps 2
log_says "step 2/2"
ln -sf "${libtorch}"/* plain/lib/
expect 0 plainly plain/train tiny.textproto --max_steps 3
log_says "step 3/3"
