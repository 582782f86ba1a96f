#!/bin/bash
# One, two and four ranks on the CPU take the same steps: they share the draws of a step and sum over all of it. A run
# goes on with another number of them.
source "$(dirname "$0")/harness.sh"

# ranks NUMBER PER_GPU NAME FLAGS...: trains with a global batch of 4, on a smaller crop.
ranks() {
  local number="$1" per_gpu="$2" name="$3"
  shift 3
  expect 0 "${train}" "${tiny}" --wname "${name}" --gpus "${number}" --device cpu \
    --set batch.global=4 --set batch.per_gpu="${per_gpu}" --set logging.picture_interval_steps=0 \
    --set data.crop_min=[-3.2,-3.2,-3.2] --set data.crop_max=[3.2,3.2,3.2] --set voxel_vae.neck_half_extent=[2,2,4] "$@"
  log_says "on ${number} rank(s)"
}

# same_rows A B TOLERANCE [first]: all losses, metrics and gradient norms that A has logged are B's too; `first`: those
# of the first step, before its update.
same_rows() {
  python3 - "$@" <<'PYTHON' || fail "rows of $1 and $2"
import json, math, sys
def rows(run):
    lines = (json.loads(line) for line in open(f"runs/{run}/metrics.jsonl"))
    return {(row["step"], row["split"]): row for row in lines}
first, second, tolerance = rows(sys.argv[1]), rows(sys.argv[2]), float(sys.argv[3])
assert first.keys() <= second.keys(), (first.keys(), second.keys())
keys = {(0, "validation"), (1, "train")} if sys.argv[4:] == ["first"] else first.keys()
worst, compared = (0, ""), 0
for key in keys:
    for name, value in first[key].items():
        if not name.startswith(("train_", "val_", "best/", "gradient")):
            continue
        other = second[key][name]
        compared += 1
        difference = abs(value - other) / max(abs(value), abs(other), 1e-300)
        worst = max(worst, (difference, f"{name} at step {key}: {value!r} and {other!r}"))
print(f"{sys.argv[1]} and {sys.argv[2]}: {compared} numbers, largest relative difference {worst[0]:.2g}, {worst[1]}")
assert compared > 20 * len(keys) and worst[0] <= tolerance, worst
PYTHON
}

double="--set training.precision=FP64"
ranks 1 2 one ${double} --max_steps 10
ranks 2 2 two ${double} --max_steps 10
same_rows one two 1e-9

# From four ranks, with other micro-batches, to two and to one.
ranks 4 1 changing ${double} --max_steps 4
cp -r runs/changing runs/four
ranks 4 1 four ${double} --max_steps 10
same_rows one four 1e-9
ranks 2 1 changing ${double} --max_steps 7
log_says "resuming after step 4"
ranks 1 2 changing ${double} --max_steps 10
log_says "resuming after step 7"
same_rows one changing 1e-9

# In single precision the first step, with the same micro-batches: what is summed within one is rounded, and of loss/mu-0
# and loss/logvar-0, means of numbers of either sign, little is left.
for number in 1 2 4; do ranks "${number}" 1 "single-${number}" --max_steps 1; done
same_rows single-1 single-2 1e-6 first
same_rows single-1 single-4 1e-6 first

# A batch that cannot be shared out is refused, on all ranks, by name.
expect 2 "${train}" "${tiny}" --wname three --set batch.global=4 --set batch.per_gpu=2 --gpus 3 --device cpu
log_says "batch.global is 4"

# Stopping two ranks saves once and ends both.
code=0
: >log
setsid "${train}" "${tiny}" --wname stop --gpus 2 --device cpu --max_steps 100000 >log 2>&1 &
pid=$!
wait_for log "step 2/" "${pid}"
kill -TERM "${pid}"
wait "${pid}" || code=$?
[[ "${code}" == 75 ]] || fail "exit code ${code}, not 75"
log_says "everything is saved"
