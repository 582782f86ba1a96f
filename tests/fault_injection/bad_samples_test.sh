#!/bin/bash
# Samples that cannot be used: the policies FAIL and SKIP, the ledger, the totals and the highest rate.
source "$(dirname "$0")/harness.sh"

readonly flags="--set validation.interval_steps=100 --set checkpoints.interval_steps=1 --set checkpoints.keep_last=100"
readonly skip="--set data.bad_samples.policy=SKIP --set data.bad_samples.max_rate=0.9"

# A seed whose first two draws are of different clips; the clip of the first one is going to be bad.
for ((seed = 0; seed < 50; ++seed)); do
  rm -f draws
  CUBIST_TEST_DRAWS="${work}/draws" expect 0 "${train}" "${tiny}" --wname look --fresh --max_steps 1 ${flags} --seed "${seed}"
  read -r _ _ first _ < <(sed -n 1p draws)
  read -r _ _ second _ < <(sed -n 2p draws)
  [[ "${first}" == "${second}" ]] || break
done
[[ "${first}" != "${second}" ]] || fail "no seed"
# An array of another type in the middle of the archive: the number of bytes stays, so only that member is bad.
python3 - "${first}" <<'PYTHON'
import os, sys, tarfile
path = f"data/pose/{sys.argv[1]}.tar"
os.chmod(path, 0o644)
with tarfile.open(path) as tar:
    members = [(m.name, m.offset_data, m.size) for m in tar if m.isfile()]
with open(path, "r+b") as file:
    for name, offset, size in members:
        file.seek(offset)
        data = file.read(size)
        assert b"'<f8'" in data, data[:80]
        file.seek(offset)
        file.write(data.replace(b"'<f8'", b"'<i8'", 1))
PYTHON

echo "FAIL names tar, member and what is wrong."
expect 3 "${train}" "${tiny}" --wname fail --max_steps 4 ${flags} --seed "${seed}"
log_says "data/pose/${first}.tar" "pose.front.npy" "int64"
[[ ! -e runs/fail/ledger.jsonl ]] || fail "a ledger of a run that skips nothing"

echo "SKIP: a step is the mean over its other samples, to the last bit."
expect 0 "${train}" "${tiny}" --wname two --max_steps 4 ${flags} ${skip} --seed "${seed}"
log_says "warning: sample skipped" "skipped since the start of the run:"
# One sample a step: the first step has none, and moves nothing; the second is the other sample of the pair above.
expect 0 "${train}" "${tiny}" --wname one --max_steps 2 ${flags} ${skip} --seed "${seed}" --set batch.accumulate=1
for file in model optimizer ema; do
  cmp runs/two/checkpoints/step-000000001/${file}.safetensors runs/one/checkpoints/step-000000002/${file}.safetensors ||
    fail "the mean over one of two samples is not that sample"
done
python3 -c "
import json
rows = {row['step']: row for row in map(json.loads, open('runs/one/metrics.jsonl')) if row['split'] == 'train'}
assert 'train_loss/sum' not in rows[1] and 'gradient_norm' not in rows[1] and 'non_finite' not in rows[1], rows[1]
assert rows[2]['gradient_norm'] > 0, rows[2]"
cmp -s runs/one/checkpoints/step-00000000{1,2}/model.safetensors && fail "the second step moved nothing"

echo "The ledger has every sample with its place in the file."
python3 - "${first}" <<'PYTHON'
import json, sys, tarfile
clip = sys.argv[1]
events = [json.loads(line) for line in open("runs/two/ledger.jsonl")]
assert events and all(e["kind"] == "bad_sample" and e["split"] == "train" for e in events), events
assert events[0]["draw"] == 0 and events[0]["step"] == 1
tar = tarfile.open(f"data/pose/{clip}.tar")
for event in events:
    assert event["clip"] == clip and event["attribute"] == "pose" and event["path"] == f"data/pose/{clip}.tar", event
    member = tar.getmember(event["member"])
    assert (event["begin"], event["end"]) == (member.offset_data, member.offset_data + member.size), event
    assert event["start_frame"] == int(event["member"].split(".")[1]), event
    assert "int64" in event["reason"], event
PYTHON

echo "Interrupted, it is the same run, with the same ledger."
for place in kill_gradient:2 kill_saved:3; do
  expect 5 with_faults "${place}" "${train}" "${tiny}" --wname killed --max_steps 4 ${flags} ${skip} --seed "${seed}"
done
expect 0 "${train}" "${tiny}" --wname killed --max_steps 4 ${flags} ${skip} --seed "${seed}"
"${same_checkpoints}" runs/two/checkpoints/step-000000004 runs/killed/checkpoints/step-000000004 || fail "another state"
diff <(sed 's/"time":[^,]*,//' runs/two/ledger.jsonl) <(sed 's/"time":[^,]*,//' runs/killed/ledger.jsonl)

echo "Two ranks skip the same samples and come to the same losses."
double="--set training.precision=FP64"
expect 0 "${train}" "${tiny}" --wname rank --max_steps 4 ${flags} ${skip} --seed "${seed}" ${double}
expect 0 "${train}" "${tiny}" --wname ranks --max_steps 4 ${flags} ${skip} --seed "${seed}" ${double} \
  --set batch.accumulate=1 --gpus 2 --device cpu
diff <(sed 's/"time":[^,]*,//' runs/rank/ledger.jsonl) <(sed 's/"time":[^,]*,//' runs/ranks/ledger.jsonl)
[[ "$(grep -c "sample skipped" log)" == "$(wc -l <runs/ranks/ledger.jsonl)" ]] || fail "not all of them were said"
python3 - <<'PYTHON'
import json, math
def losses(run):
    return [row["train_loss/sum"] for row in map(json.loads, open(f"runs/{run}/metrics.jsonl")) if row["split"] == "train"]
one, two = losses("rank"), losses("ranks")
assert len(one) == 4 and all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(one, two)), (one, two)
PYTHON

echo "A validation sample that cannot be used is left out of the mean and listed as well."
expect 0 "${train}" "${tiny}" --wname validation --max_steps 1 ${flags} ${skip} --seed "${seed}" \
  --set "data.train_clips=[\"${second}\"]" --set "data.validation_clips=[\"${first}\", \"${second}\"]"
python3 -c "
import json
events = [json.loads(line) for line in open('runs/validation/ledger.jsonl')]
assert [(e['split'], e['clip'], e['step']) for e in events] == [('validation', '${first}', 0), ('validation', '${first}', 1)], events
rows = [row for row in map(json.loads, open('runs/validation/metrics.jsonl')) if row['split'] == 'validation']
assert len(rows) == 2 and rows[0]['val_loss'] > 0, rows"

echo "More than the highest rate ends the run, and says how many."
expect 3 "${train}" "${tiny}" --wname rate --max_steps 100 ${flags} --seed "${seed}" \
  --set data.bad_samples.policy=SKIP --set data.bad_samples.max_rate=0.2
log_says "data.bad_samples.max_rate" "11 of the"
[[ "$(wc -l <runs/rate/ledger.jsonl)" == 11 ]] || fail "the ledger of the run that ended"
echo "${commands} runs"
