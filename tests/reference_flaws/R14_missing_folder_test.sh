#!/bin/bash
# R14: the reference prints a line and exits 0 when a folder is missing. Here it is an exit code, and a message on
# stderr, not among the output.
source "$(dirname "$0")/../end_to_end/harness.sh"
synthesize="${runfiles}/data_process/synthesize_scenes"

# refused CODE TEXT COMMAND...: ends with CODE and names TEXT on stderr alone.
cases=0
refused() {
  local wanted="$1" text="$2" code=0
  shift 2
  "$@" >output 2>log || code=$?
  [[ "${code}" == "${wanted}" ]] || fail "exit code ${code}, not ${wanted}: $*"
  log_says "${text}"
  if grep -qF -- "${text}" output; then fail "the message is among the output: $*"; fi
  cases=$((cases + 1))
}
recipe=vae_64x64x64_height_down2_vs02_dense_residual.textproto
on_cpu=(--logger_type none --set training.precision=FP32)
refused 2 missing.textproto "${train}" missing.textproto
refused 2 "" "${train}"
refused 3 nowhere "${train}" "${runfiles}/configs/recipes/${recipe}" --data_root nowhere "${on_cpu[@]}"
mkdir empty && touch a_file
refused 3 empty "${train}" "${runfiles}/configs/recipes/${recipe}" --data_root empty "${on_cpu[@]}"
refused 3 a_file "${train}" "${runfiles}/configs/recipes/${recipe}" --data_root a_file "${on_cpu[@]}"
refused 6 a_file "${train}" "${tiny}" --run_dir a_file/run --max_steps 1
refused 2 nowhere "${train}" "${tiny}" --wname w --init_from nowhere --max_steps 1
refused 2 nowhere "${train}" "${tiny}" --wname w --resume_from nowhere --max_steps 1
refused 2 "--device" "${train}" "${tiny}" --device cuda
refused 2 "--data_root" "${synthesize}"
mkdir full && touch full/file
refused 2 full "${synthesize}" --data_root full --clips 1
refused 6 a_file "${synthesize}" --data_root a_file/data --clips 1
[[ ! -e runs/w ]] || fail "a run that could not start leaves nothing"
echo "R14: ${cases} refusals"
