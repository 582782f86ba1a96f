#!/bin/bash
# A run that is killed with SIGKILL in every one of its 20 steps, in every validation and after every save, and goes on
# each time with other numbers of threads and prefetched batches, is the uninterrupted run, bit for bit: every state
# that is ever saved, every draw, every logged number.
source "$(dirname "$0")/harness.sh"

readonly steps=20
readonly flags="--max_steps ${steps} --set validation.interval_steps=5 --set gradient.clip_value=0.01 \
  --set learning_rate.decay_factor=0.5 --set learning_rate.decay_samples=12"

# The oracle saves after each step and keeps all of it.
CUBIST_TEST_DRAWS="${work}/alone.draws" expect 0 "${train}" "${tiny}" --wname alone ${flags} \
  --set checkpoints.interval_steps=1 --set checkpoints.keep_last=100

kills=0
compared=0
# Kills the run at a place, once it gets there, and holds the newest state on disk against the oracle's.
kill_at() {
  local threads=$((kills % 3 + 1)) prefetch=$((kills % 4 + 1)) latest
  # To its front a rank that is killed is a peer that was lost.
  expect 5 with_faults "$1" env CUBIST_TEST_DRAWS="${work}/killed.draws" "${train}" "${tiny}" --wname killed ${flags} \
    --set checkpoints.interval_steps=4 --set "data.loader_threads=${threads}" --set "data.prefetch_batches=${prefetch}"
  kills=$((kills + 1))
  for latest in runs/killed/checkpoints/step-*; do
    [[ -d "${latest}" ]] || continue
    "${same_checkpoints}" "${latest}" "runs/alone/checkpoints/$(basename "${latest}")" || fail "after $1"
    compared=$((compared + 1))
  done
}

kill_at kill_validation:0
for ((step = 1; step <= steps; ++step)); do
  if ((step % 2 == 1)); then
    kill_at "kill_micro_batch:${step}:0"  # in mid-accumulation
  else
    kill_at "kill_gradient:${step}"
  fi
  ((step % 5 != 0)) || kill_at "kill_validation:${step}"
  ((step % 4 != 0)) || kill_at "kill_saved:${step}"
done
expect 0 "${train}" "${tiny}" --wname killed ${flags} --set checkpoints.interval_steps=4
"${same_checkpoints}" "runs/killed/checkpoints/step-0000000${steps}" "runs/alone/checkpoints/step-0000000${steps}" ||
  fail "the end differs"

python3 - <<'PYTHON'
import json
def rows(run):
    result = [json.loads(line) for line in open(f"runs/{run}/metrics.jsonl")]
    for row in result:
        for name in ("time", "samples_per_second", "data_wait"):
            row.pop(name, None)
    return result
alone, killed = rows("alone"), rows("killed")
assert len(alone) == 20 + 5, len(alone)
assert alone == killed, [(a, b) for a, b in zip(alone, killed) if a != b][:1]
assert any(row["lr-AdamW"] != alone[1]["lr-AdamW"] for row in alone if "lr-AdamW" in row), "the schedule moves"
# A step that was taken several times took the same draws each time.
alone = set(open("alone.draws")); killed = set(open("killed.draws"))
assert len(alone) == 40, len(alone)
assert alone == killed, alone ^ killed
print("logged rows and draws are equal")
PYTHON
echo "killed ${kills} times, ${compared} states compared"
