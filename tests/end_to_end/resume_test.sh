#!/bin/bash
# A run that is stopped again and again ends with the same tensors as one that was left alone.
source "$(dirname "$0")/harness.sh"

expect 0 "${train}" "${tiny}" --wname alone

# stop_after SIGNAL TEXT: starts the run, sends the signal to its process group, as a terminal does, once it
# has said TEXT, and expects it to save and end with 75.
stop_after() {
  local code=0
  : >log
  setsid "${train}" "${tiny}" --wname stopped >log 2>&1 &
  local pid=$!
  for ((i = 0; i < 2400; ++i)); do
    grep -qF -- "$2" log && break
    kill -0 "${pid}" 2>/dev/null || fail "ended before it said: $2"
    sleep 0.05
  done
  kill "-$1" -- "-${pid}"
  wait "${pid}" || code=$?
  [[ "${code}" == 75 ]] || fail "exit code ${code}, not 75, after SIG$1 at: $2"
}

stop_after TERM "parameters;"          # before the first validation is done
stop_after INT "validation at step 0"  # in the first step
stop_after USR1 "step 4/8"
expect 0 "${train}" "${tiny}" --wname stopped
log_says "resuming after step"
same_checkpoint runs/alone runs/stopped 000000008

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
expect 0 "${train}" "${tiny}" --wname threads --set data.loader_threads=3 --set data.prefetch_batches=5
same_checkpoint runs/alone runs/threads 000000008
