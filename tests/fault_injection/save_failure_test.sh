#!/bin/bash
# A checkpoint that cannot be written: the run stops, or goes on to the next one, and the previous one stays.
source "$(dirname "$0")/harness.sh"

readonly flags="--set validation.interval_steps=1000 --set checkpoints.interval_steps=1 --set logging.picture_interval_steps=0"
expect 0 "${train}" "${tiny}" --wname stop --max_steps 1 ${flags}
cp -r runs/stop runs/go_on

echo "STOP: exit code 6 names the file and the reason."
(ulimit -S -f 800 && expect 6 "${train}" "${tiny}" --wname stop --max_steps 3 ${flags})
log_says "checkpoints/step-000000002/model.safetensors: cannot write: File too large"
[[ "$(ls runs/stop/checkpoints)" == step-000000001 ]] || fail "left behind: $(ls -A runs/stop/checkpoints)"

echo "CONTINUE: it warns, and saves once there is room again."
: >log
(ulimit -S -f 800 && exec "${train}" "${tiny}" --wname go_on --max_steps 100000 ${flags} \
  --set checkpoints.on_failure=CONTINUE) >log 2>&1 &
pid=$!
wait_for log "warning: step 3 is not saved, the run goes on" "${pid}"
[[ "$(ls runs/go_on/checkpoints)" == step-000000001 ]] || fail "a failed save left something: $(ls -A runs/go_on/checkpoints)"
prlimit --pid "$(tr -d " " <"/proc/${pid}/task/${pid}/children")" --fsize=unlimited
for ((i = 0; i < 2400; ++i)); do
  [[ -e runs/go_on/checkpoints/step-000000001 ]] || break  # retention: two newer ones are there
  sleep 0.05
done
kill -TERM "${pid}"
code=0
wait "${pid}" || code=$?
[[ "${code}" == 75 ]] || fail "exit code ${code}, not 75"
(($(ls runs/go_on/checkpoints | wc -l) == 2)) || fail "it saved no more"

echo "The last save of a run has to succeed."
(ulimit -S -f 800 && expect 6 "${train}" "${tiny}" --wname stop --max_steps 3 ${flags} --set checkpoints.on_failure=CONTINUE)
log_says "warning: step 2 is not saved" "train: "
