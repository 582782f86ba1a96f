#!/bin/bash
# A run that is stopped by signals as they come in life, from a terminal, a scheduler or a user, ends with the same
# tensors as one that was left alone. (Every place that a signal can hit: tests/fault_injection/stop_test.)
source "$(dirname "$0")/harness.sh"

readonly flags="--max_steps 40 --set validation.interval_steps=20 --set logging.picture_interval_steps=0"
expect 0 "${train}" "${tiny}" --wname alone ${flags}

# stop_after SIGNAL WHOM TEXT: starts the run in a process group of its own, sends the signal to the group, as a terminal
# does, or to the front alone once the run has said TEXT, and expects it to save and end with 75.
stop_after() {
  local code=0
  : >log
  setsid "${train}" "${tiny}" --wname stopped ${flags} >log 2>&1 &
  local pid=$! target
  wait_for log "$3" "${pid}"
  [[ "$2" == group ]] && target="-${pid}" || target="${pid}"
  kill "-$1" -- "${target}"
  wait "${pid}" || code=$?
  [[ "${code}" == 75 ]] || fail "exit code ${code}, not 75, after SIG$1 at: $3"
}

stop_after INT group "step 2/40"
stop_after TERM front "step 12/40"
stop_after USR1 group "step 24/40"
expect 0 "${train}" "${tiny}" --wname stopped ${flags}
log_says "resuming after step"
same_checkpoint runs/alone runs/stopped 000000040

# So do its rows, but for what is a matter of time.
python3 - <<'PYTHON'
import json
def rows(run):
    result = [json.loads(line) for line in open(f"runs/{run}/metrics.jsonl")]
    for row in result:
        for name in ("time", "samples_per_second", "data_wait"):
            row.pop(name, None)
    return result
assert rows("alone") == rows("stopped"), (rows("alone"), rows("stopped"))
PYTHON

# Threads and prefetching change nothing either.
expect 0 "${train}" "${tiny}" --wname threads ${flags} --set data.loader_threads=3 --set data.prefetch_batches=5
same_checkpoint runs/alone runs/threads 000000040
