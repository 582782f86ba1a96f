#!/bin/bash
# --profile_steps writes a Chrome trace of exactly these steps, for every rank, and never fails a run.
source "$(dirname "$0")/harness.sh"

expect 0 "${train}" "${tiny}" --wname plain
expect 0 "${train}" "${tiny}" --wname profiled --profile_steps 2:4
log_says "profile: runs/profiled/profile/steps-2-4.rank-0.trace.json"
same_checkpoint runs/plain runs/profiled 000000008
expect 0 "${train}" "${tiny}" --wname two --gpus 2 --device cpu --max_steps 4 --profile_steps 3:9
python3 - <<'PYTHON'
import json

def ranges(path):
    events = [e for e in json.load(open(path))["traceEvents"] if e["ph"] == "X"]
    return {name: [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == name] for name in {e["name"] for e in events}}

def within(inner, outer):
    return sum(outer[0] <= begin and end <= outer[1] for begin, end in inner)

def check(path, steps, saves, validations):
    found = ranges(path)
    names = sorted(name for name in found if name.startswith("ProfilerStep#"))
    assert names == [f"ProfilerStep#{step}" for step in steps], names
    for name in names:
        (step,) = found[name]
        # Two micro-batches a step.
        for part, count in {"data wait": 2, "forward": 2, "backward": 2, "reduce": 1, "optimizer": 1}.items():
            assert within(found[part], step) == count, (name, part, within(found[part], step))
    for part in ("forward", "backward"):
        assert len(found[part]) == 2 * len(steps), (part, len(found[part]))
        for one in found[part]:
            operators = sum(within(found[name], one) for name in found if name.startswith("aten::"))
            assert operators > 20, (part, operators)
    assert len(found.get("save", [])) == saves and len(found.get("validation", [])) == validations, path

check("runs/profiled/profile/steps-2-4.rank-0.trace.json", [2, 3, 4], saves=1, validations=1)
# A run that ends within the range.
for rank in range(2):
    check(f"runs/two/profile/steps-3-9.rank-{rank}.trace.json", [3, 4], saves=1, validations=2)
PYTHON
[[ "$(ls runs/profiled/profile)" == steps-2-4.rank-0.trace.json ]] || fail "more than the trace"

# A run that is past these steps.
expect 0 "${train}" "${tiny}" --wname plain --max_steps 9 --profile_steps 2:4
log_says "resuming after step 8" "warning: --profile_steps 2:4: nothing was profiled"
[[ ! -e runs/plain/profile ]] || fail "it profiled"

# A profile that cannot be written is no reason to end a run.
touch runs/plain/profile
expect 0 "${train}" "${tiny}" --wname plain --max_steps 10 --profile_steps 10:10
log_says "warning: --profile_steps 10:10" "runs/plain/profile" "step 10/10"

expect 2 "${train}" "${tiny}" --wname wrong --profile_steps 4:2
log_says '--profile_steps: "4:2"'
[[ ! -e runs/wrong ]] || fail "a refused run left a folder"
