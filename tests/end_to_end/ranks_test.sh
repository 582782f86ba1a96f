#!/bin/bash
# Two ranks on the CPU take the same steps as one: they share the draws of a step and sum over all of it.
source "$(dirname "$0")/harness.sh"

double="--set training.precision=FP64 --max_steps 4"
expect 0 "${train}" "${tiny}" ${double} --wname one --set batch.global=4 --set batch.per_gpu=2
expect 0 "${train}" "${tiny}" ${double} --wname two --set batch.global=4 --set batch.per_gpu=2 --gpus 2 --device cpu
log_says "on 2 rank(s)"
python3 - <<'PYTHON'
import json, math
def rows(run):
    return [json.loads(line) for line in open(f"runs/{run}/metrics.jsonl")]
one, two = rows("one"), rows("two")
assert len(one) == len(two) == 7, (len(one), len(two))
for a, b in zip(one, two):
    assert (a["step"], a["split"]) == (b["step"], b["split"])
    for name, value in a.items():
        if name.startswith(("train_", "val_", "gradient")):
            assert math.isclose(value, b[name], rel_tol=1e-9, abs_tol=1e-12), (a["step"], name, value, b[name])
PYTHON

# A batch that cannot be shared out is refused, on all ranks, by name.
expect 2 "${train}" "${tiny}" --wname three --set batch.global=4 --set batch.per_gpu=2 --gpus 3 --device cpu
log_says "batch.global is 4"

# Stopping two ranks saves once and ends both.
code=0
: >log
setsid "${train}" "${tiny}" --wname stop --gpus 2 --device cpu --max_steps 100000 >log 2>&1 &
pid=$!
for ((i = 0; i < 2400; ++i)); do
  grep -qF "step 2/" log && break
  kill -0 "${pid}" 2>/dev/null || fail "it ended by itself"
  sleep 0.05
done
kill -TERM "${pid}"
wait "${pid}" || code=$?
[[ "${code}" == 75 ]] || fail "exit code ${code}, not 75"
log_says "everything is saved"
