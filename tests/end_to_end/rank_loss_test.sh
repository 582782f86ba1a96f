#!/bin/bash
# A rank that dies or stands still in mid-training ends the others with exit code 5: they name it, the operation and
# its number. Nothing is left running, and the same command goes on from the latest checkpoint.
source "$(dirname "$0")/harness.sh"

readonly deadline=5 last_step=24

# workers_of RANK: process numbers of the workers with this rank ("[0-9]*": any) that have not ended.
workers_of() {
  local folder
  for folder in /proc/[0-9]*; do
    # Not grep -q: it leaves at the first match, and with pipefail a tr that still writes makes that a failure.
    if { tr '\0' '\n' <"${folder}/environ" | grep -x "CUBIST_RANK=$1" >/dev/null; } 2>/dev/null &&
      grep -q '^State:[[:space:]]*[^Z]' "${folder}/status" 2>/dev/null; then
      echo "${folder#/proc/}"
    fi
  done
}

run=("${train}" "${tiny}" --gpus 4 --device cpu --max_steps "${last_step}" --set logging.picture_interval_steps=0
  --set batch.accumulate=1)

# lose SIGNAL RANK TEXT: starts the run, sends the signal to that rank once TEXT is in the log, and waits for the end.
lose() {
  local code=0 begin victim other
  : >log
  "${run[@]}" --wname loss --set training.peer_deadline_seconds="${deadline}" >log 2>&1 &
  local pid=$!
  wait_for log "parameters;" "${pid}"
  victim="$(workers_of "$2")"
  [[ "${victim}" =~ ^[0-9]+$ ]] || fail "rank $2 is process '${victim}'"
  wait_for log "$3" "${pid}"
  begin="$(date +%s%N)"
  kill "-$1" "${victim}"
  # A minute is no bound of ours: it tells a hang from a slow machine.
  (sleep 60 && kill -KILL "${pid}") &
  local guard=$!
  wait "${pid}" || code=$?
  kill "${guard}" 2>/dev/null || fail "still running a minute after SIG$1 of rank $2"
  echo "SIG$1 of rank $2: the command ended after $((($(date +%s%N) - begin) / 1000000)) ms; the deadline is ${deadline} s"
  [[ "${code}" == 5 ]] || fail "exit code ${code}, not 5, after SIG$1 of rank $2"
  other="$(($2 == 0 ? 1 : 0))"
  grep -qE "rank ${other} of 4: (all-reduce|all-gather|broadcast|barrier)[a-z() ]* #[0-9]+ failed" log ||
    fail "no operation named"
  log_says "no answer from rank $2" "rank ${other} ended with exit code 5 (a peer was lost)"
  [[ -z "$(workers_of '[0-9]*')" ]] || fail "still running: $(workers_of '[0-9]*')"
}

lose KILL 2 "step 5/${last_step}"
log_says "rank 2 was ended by signal 9 (Killed)"
lose STOP 3 "step 9/${last_step}"
log_says "resuming after step " "not done after ${deadline}000 ms" "rank 3 did not end in the 5 s"
# Rank 0 also serves the store through which the ranks tell each other where they stand.
lose KILL 0 "step 14/${last_step}"
log_says "rank 0 was ended by signal 9 (Killed)"
lose STOP 0 "step 19/${last_step}"
log_says "resuming after step " "not done after ${deadline}000 ms" "rank 0 did not end in the 5 s"
expect 0 "${run[@]}" --wname loss
log_says "resuming after step " "step ${last_step}/${last_step}"

# It was only interrupted.
expect 0 "${run[@]}" --wname whole
for file in model ema; do
  cmp runs/{whole,loss}/checkpoints/step-0000000${last_step}/"${file}".safetensors || fail "${file} differs"
done
