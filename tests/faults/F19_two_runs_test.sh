#!/bin/bash
# F19: a second run in a folder that is in use is refused and told by whom; a lock that a killed run left behind stops
# nobody, and is said.
source "$(dirname "$0")/../end_to_end/harness.sh"

expect 0 "${train}" "${tiny}" --max_steps 4
: >first_log
"${train}" "${tiny}" --max_steps 100000 >first_log 2>&1 &
front=$!
wait_for first_log "step 6/" "${front}"
for again in 1 2; do
  expect 6 "${train}" "${tiny}" --max_steps 8
  log_says "runs/tiny" "process ${front}" "host $(hostname)"
done
kill -0 "${front}" || fail "the first run has ended"

# Killed, with its workers, as by a machine that goes down.
workers="$(cat "/proc/${front}/task/${front}/children")"
kill -KILL "${front}"
wait "${front}" || true
for worker in ${workers}; do
  while kill -0 "${worker}" 2>/dev/null; do sleep 0.05; done
done
[[ -s runs/tiny/lock ]] || fail "nothing was left in the lock: the test shows nothing"
last="$(ls runs/tiny/checkpoints | grep -x 'step-[0-9]*' | tail -n 1)"
step="$((10#${last#step-}))"
expect 0 "${train}" "${tiny}" --max_steps "$((step + 1))"
log_says "was killed" "process ${front}" "resuming after step ${step}"
