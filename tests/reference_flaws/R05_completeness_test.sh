#!/bin/bash
# R5: the reference asks a full torch.load whether a checkpoint is complete and falls back to the newest file. Here a
# checkpoint is complete by its manifest and hashes; times of files play no role.
source "$(dirname "$0")/../end_to_end/harness.sh"

expect 0 "${train}" "${tiny}" --max_steps 8
[[ "$(ls runs/tiny/checkpoints)" == $'step-000000004\nstep-000000008' ]] || fail "$(ls runs/tiny/checkpoints)"
fresh_copy() { rm -rf run && cp -a runs/tiny run; }
latest=run/checkpoints/step-000000008

# The older one is the newest file by far.
fresh_copy
find run/checkpoints/step-000000004 -exec touch -d '2099-01-01' {} +
find "${latest}" -exec touch -d '1990-01-01' {} +
expect 0 "${train}" "${tiny}" --run_dir run --max_steps 9
log_says "resuming after step 8"

# A file that was cut or is missing: named, refused, and older ones only when asked for.
cases=0
for file in model optimizer ema; do
  for damage in cut gone; do
    fresh_copy
    if [[ "${damage}" == cut ]]; then truncate -s -1 "${latest}/${file}.safetensors"; else rm "${latest}/${file}.safetensors"; fi
    expect 6 "${train}" "${tiny}" --run_dir run --max_steps 9
    log_says "step-000000008/${file}.safetensors" "--allow_fallback"
    cases=$((cases + 1))
  done
done
for file in training_state.pb config.textproto MANIFEST; do
  fresh_copy
  truncate -s -1 "${latest}/${file}"
  expect 6 "${train}" "${tiny}" --run_dir run --max_steps 9
  log_says "step-000000008/${file}" "--allow_fallback"
  cases=$((cases + 1))
done
expect 0 "${train}" "${tiny}" --run_dir run --max_steps 9 --allow_fallback
log_says "step-000000008/MANIFEST" "resuming after step 4"

# Without its commit record it never was a checkpoint.
fresh_copy
rm "${latest}/MANIFEST"
expect 0 "${train}" "${tiny}" --run_dir run --max_steps 9
log_says "resuming after step 4"
same_checkpoint run "${PWD}/runs/tiny" 000000008
echo "R5: ${cases} incomplete checkpoints"
