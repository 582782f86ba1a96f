#!/bin/bash
# SIGTERM in every phase of a run: it saves and ends with 75, and the run that goes on is the uninterrupted one.
source "$(dirname "$0")/harness.sh"

readonly flags="--max_steps 6 --set validation.interval_steps=3 --set checkpoints.interval_steps=4"
expect 0 "${train}" "${tiny}" --wname alone ${flags}

# stop_at RUN PLACE STEPS: the signal comes at the place, and the run stops after one of these numbers of steps.
stops=0
stop_at() {
  expect 75 with_faults "$2" "${train}" "${tiny}" --wname "$1" ${flags}
  grep -qE "asked to stop after step $3;" log || fail "where did it stop at $2?"
  compgen -G "runs/$1/checkpoints/step-00000000$3" >/dev/null || fail "nothing is saved at $2"
  stops=$((stops + 1))
}
finish() {
  expect 0 "${train}" "${tiny}" --wname "$1" ${flags}
  "${same_checkpoints}" runs/{alone,"$1"}/checkpoints/step-000000006 || fail "the end differs"
}
stop_at stopped term_validation:0 0
stop_at stopped term_micro_batch:1:0 1  # a step that has begun is finished
stop_at stopped term_micro_batch:3:1 3
stop_at stopped term_validation:3 3
stop_at stopped term_gradient:4 [45]  # the next step is finished too if its data is there, and else given up
stop_at stopped term_validation:6 6
finish stopped
stop_at saved term_saved:4 [45]
finish saved
echo "stopped ${stops} times"
