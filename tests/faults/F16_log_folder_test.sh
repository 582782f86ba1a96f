#!/bin/bash
# F16: metrics, events and pictures cannot be written any more while a run is at it. Training goes on, one warning says
# so, the checkpoints are those of a run that could log, and the next start logs again.
source "$(dirname "$0")/../end_to_end/harness.sh"

run=(--set checkpoints.interval_steps=10 --set logging.picture_interval_steps=2 --set checkpoints.keep_every=10)
: >log
"${train}" "${tiny}" --wname blind --max_steps 100000 "${run[@]}" >log 2>&1 &
front=$!
wait_for log "step 2/" "${front}"
# Permissions stop nobody who is root: files stand where the folders were.
rm -r runs/blind/pictures runs/blind/events runs/blind/metrics.jsonl
touch runs/blind/pictures runs/blind/events
mkdir runs/blind/metrics.jsonl
wait_for log "cannot be written; training goes on" "${front}"
wait_for log "step 11/" "${front}"
kill -TERM "${front}"
code=0
wait "${front}" || code=$?
[[ "${code}" == 75 ]] || fail "exit code ${code}, not 75"
log_says "everything is saved"
[[ "$(grep -c "cannot be written; training goes on" log)" == 1 ]] || fail "one warning, not more"

expect 0 "${train}" "${tiny}" --wname logging --max_steps 10 "${run[@]}"
same_checkpoint runs/logging runs/blind 000000010

last="$(ls runs/blind/checkpoints | tail -n 1)"
step="$((10#${last#step-}))"
rm -r runs/blind/pictures runs/blind/events runs/blind/metrics.jsonl
expect 0 "${train}" "${tiny}" --wname blind --max_steps "$((step + 2))" "${run[@]}"
grep -qF "\"step\":$((step + 1))," runs/blind/metrics.jsonl || fail "no row of step $((step + 1))"
ls runs/blind/events/events.out.tfevents.* runs/blind/pictures/*.png >/dev/null
