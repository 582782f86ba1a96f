#!/bin/bash
# R2: the reference prints an error in the middle of training and exits 0. Here an error in any phase has its exit code
# and says what, where and the way out; a later start goes on from the last checkpoint.
source "$(dirname "$0")/../end_to_end/harness.sh"

# The default action of SIGXFSZ is to kill; python resets what a test runner may have set. $1: bytes a file may have.
with_file_limit() {
  python3 -c '
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])' "$@"
}
# Never a success, and said on stderr, after a step beyond the first.
no_success() {
  log_says "$@"
  if grep -qE "done: step|everything is saved" log; then fail "it says that it is done"; fi
}

expect 0 "${train}" "${tiny}" --max_steps 4
mv data whole_data

phase="data of a training step, damaged between two starts"
cp -a whole_data data && cp -a runs/tiny runs/step
for tar in data/pose/*.tar; do truncate -s 3000 "${tar}"; done
expect 3 "${train}" "${tiny}" --wname step --max_steps 8
no_success "data/pose/" ".tar"

phase="the whole data folder is gone"
rm -r data && cp -a runs/tiny runs/folder
expect 3 "${train}" "${tiny}" --wname folder --max_steps 8 --data_root data
no_success "data"

phase="data of the validation that follows step 6"
cp -a whole_data data && cp -a runs/tiny runs/validation
clips=($(ls whole_data/pose)) && held_out="${clips[0]%.tar}"
train_clips="$(printf '"%s", ' "${clips[@]:1}" | sed 's/\.tar//g; s/, $//')"
split=(--set "data.validation_clips=[\"${held_out}\"]" --set "data.train_clips=[${train_clips}]")
expect 0 "${train}" "${tiny}" --wname named "${split[@]}" --max_steps 4
truncate -s 3000 "data/pose/${held_out}.tar"
expect 3 "${train}" "${tiny}" --wname named "${split[@]}" --max_steps 8
no_success "step 6/8" "data/pose/${held_out}.tar"

phase="a save that the disk has no room for (F3): the last checkpoint stays, and the next start goes on from it"
rm -r data && cp -a whole_data data && cp -a runs/tiny runs/save
expect 6 with_file_limit 2000000 "${train}" "${tiny}" --wname save --max_steps 8
no_success "step 8/8" "step-000000008" "File too large" "needs"
[[ "$(ls runs/save/checkpoints)" == "step-000000004" ]] || fail "left: $(ls runs/save/checkpoints)"
expect 0 "${train}" "${tiny}" --wname save --max_steps 8
log_says "resuming after step 4" "step 8/8"
expect 0 "${train}" "${tiny}" --wname alone --max_steps 8
same_checkpoint runs/alone runs/save 000000008

phase="the first save of a run"
expect 6 with_file_limit 2000000 "${train}" "${tiny}" --wname first --max_steps 4
no_success "step-000000004" "File too large"
[[ -z "$(ls runs/first/checkpoints)" ]] || fail "left: $(ls runs/first/checkpoints)"

phase="a loss that is not finite"
expect 4 "${train}" "${tiny}" --wname nan --max_steps 8 --set voxel_vae.structure_weight=1e300
no_success "not finite"

phase="a worker that is killed"
: >log
"${train}" "${tiny}" --wname killed --max_steps 100000 >log 2>&1 &
front=$!
for ((i = 0; i < 2400; ++i)); do
  grep -qF "step 2/" log && break
  kill -0 "${front}" 2>/dev/null || fail "it ended by itself"
  sleep 0.05
done
kill -KILL $(cat "/proc/${front}/task/${front}/children")
code=0
wait "${front}" || code=$?
[[ "${code}" != 0 && "${code}" != 75 ]] || fail "${phase}: exit code ${code}"
no_success "rank 0 was ended by signal 9"
