#!/bin/bash
# R3: the reference catches every RuntimeError of a step and goes on as if nothing had been. Here a step that cannot be
# taken ends the run, or with not_finite.policy SKIP stands in ledger.jsonl: steps that AdamW took and steps in the
# ledger are all steps, up to a cap. (Single bad steps among good ones, on one rank of several, rolled back, replayed:
# //tests/fault_injection:not_finite_test.)
source "$(dirname "$0")/../end_to_end/harness.sh"
not_finite=(--set voxel_vae.structure_weight=1e300)

expect 4 "${train}" "${tiny}" --wname fail --max_steps 6 "${not_finite[@]}"
log_says "not finite"
[[ -z "$(ls runs/fail/checkpoints)" ]] || fail "a step that was not taken was saved"

expect 0 "${train}" "${tiny}" --wname good --max_steps 4
expect 0 "${train}" "${tiny}" --wname skip --max_steps 4 "${not_finite[@]}" --set not_finite.policy=SKIP
python3 - <<'PYTHON'
import json, os, struct
def taken(run):
    with open(f"runs/{run}/checkpoints/step-000000004/optimizer.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        file.seek(file.tell() + header["step"]["data_offsets"][0])
        return struct.unpack("<q", file.read(8))[0]
def skipped(run):
    path = f"runs/{run}/ledger.jsonl"
    events = [json.loads(line) for line in open(path)] if os.path.exists(path) else []
    assert all(event["kind"] == "step_not_finite" and event["action"].startswith("skipped") for event in events), events
    return [event["step"] for event in events]
assert (taken("good"), skipped("good")) == (4, []), (taken("good"), skipped("good"))
assert (taken("skip"), skipped("skip")) == (0, [1, 2, 3, 4]), (taken("skip"), skipped("skip"))
PYTHON

expect 4 "${train}" "${tiny}" --wname capped --max_steps 8 "${not_finite[@]}" --set not_finite.policy=SKIP \
  --set not_finite.max_steps=3
log_says "not_finite.max_steps"
