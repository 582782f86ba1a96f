#!/bin/bash
# Steps that are not finite: the policies FAIL, SKIP and ROLLBACK, their ledger and cap, and --replay_step.
source "$(dirname "$0")/harness.sh"

readonly flags="--max_steps 8 --set validation.interval_steps=100 --set checkpoints.interval_steps=1 \
  --set checkpoints.keep_last=100"

# same A STEP_A B STEP_B: model, optimizer and moving averages are equal.
same() {
  local file
  for file in model optimizer ema; do
    cmp "runs/$1/checkpoints/step-00000000$2/${file}.safetensors" \
      "runs/$3/checkpoints/step-00000000$4/${file}.safetensors" || fail "${file} of $1 at $2 and $3 at $4 differ"
  done
}
# ledger RUN PYTHON: holds the list `events` of a run's ledger against an expression.
ledger() {
  python3 -c "
import json, sys
events = [json.loads(line) for line in open('runs/$1/ledger.jsonl')]
assert $2, events"
}

# A step takes 2 draws: the 4th begins with draw 6.
echo "FAIL: nothing of the step or after it is saved, and the same command fails again."
expect 4 with_faults nan_gradient:6 "${train}" "${tiny}" --wname fail ${flags}
log_says "step 4 is not finite" "gradient norm" "--replay_step 4"
[[ -d runs/fail/checkpoints/step-000000003 && ! -e runs/fail/checkpoints/step-000000004 ]] || fail "what is saved"
expect 4 with_faults nan_gradient:6 "${train}" "${tiny}" --wname fail ${flags}
ledger fail 'len(events) == 1 and events[0]["step"] == 4 and events[0]["first_draw"] == 6 and events[0]["samples"] == 2'

echo "SKIP: the step moves nothing, the next one goes on with the next draws."
expect 0 with_faults nan_gradient:6 "${train}" "${tiny}" --wname skip ${flags} --set not_finite.policy=SKIP
log_says "step 4 is not finite" "skipped since the start of the run: 1 step that was not finite"
same skip 3 fail 3
same skip 4 skip 3
! cmp -s runs/skip/checkpoints/step-00000000{4,5}/model.safetensors || fail "step 5 moved nothing"
ledger skip '[event["step"] for event in events] == [4] and events[0]["gradient_norm"] == "nan"'
python3 -c "
import json
rows = {row['step']: row for row in map(json.loads, open('runs/skip/metrics.jsonl')) if row['split'] == 'train'}
assert rows[4]['lr-AdamW'] == rows[3]['lr-AdamW'], rows[4]
assert rows[4]['gradient_norm'] is None and rows[4]['non_finite'] == ['gradient_norm'], rows[4]"

echo "The same on two ranks, with the NaN on one of them, and interrupted before and after the step."
two_ranks="--set batch.accumulate=1 --gpus 2 --device cpu"
expect 0 with_faults nan_gradient:6:1 "${train}" "${tiny}" --wname skip_two ${flags} ${two_ranks} --set not_finite.policy=SKIP
ledger skip_two '[event["step"] for event in events] == [4]'
for place in kill_gradient:3 kill_gradient:5 kill_saved:6; do
  expect 5 with_faults "nan_gradient:6,${place}" "${train}" "${tiny}" --wname skip_killed ${flags} --set not_finite.policy=SKIP
done
expect 0 with_faults nan_gradient:6 "${train}" "${tiny}" --wname skip_killed ${flags} --set not_finite.policy=SKIP
same skip_killed 8 skip 8
"${same_checkpoints}" runs/skip{,_killed}/checkpoints/step-000000008 || fail "counters differ"
ledger skip_killed '[event["step"] for event in events] == [4]'

echo "A cap on skipped steps."
expect 4 with_faults nan_gradient:2,nan_gradient:6,nan_gradient:8 "${train}" "${tiny}" --wname cap ${flags} \
  --set not_finite.policy=SKIP --set not_finite.max_steps=2
log_says "not_finite.max_steps"
ledger cap '[event["step"] for event in events] == [2, 4, 5]'

echo "ROLLBACK: back to the checkpoint, then past the draws of the bad step; interrupted or not."
rollback="--set not_finite.policy=ROLLBACK --set checkpoints.interval_steps=2"
expect 0 with_faults nan_gradient:6 "${train}" "${tiny}" --wname back ${flags} ${rollback}
log_says "rolled back to step 2"
ledger back '[(event["step"], event["replay_from_step"], event["replay_from_draw"]) for event in events] == [(4, 2, 4)]'
for place in kill_gradient:3 kill_saved:4 kill_gradient:7; do
  expect 5 with_faults "nan_gradient:6,${place}" "${train}" "${tiny}" --wname back_killed ${flags} ${rollback}
done
expect 0 with_faults nan_gradient:6 "${train}" "${tiny}" --wname back_killed ${flags} ${rollback}
"${same_checkpoints}" runs/back{,_killed}/checkpoints/step-000000008 || fail "a killed rollback differs"
python3 -c "
import json
steps = [row['step'] for row in map(json.loads, open('runs/back/metrics.jsonl')) if row['split'] == 'train']
assert steps == list(range(1, 9)), steps"
# The draws of the bad step are not taken again: the state is that of a run that never had them.
CUBIST_TEST_DRAWS="${work}/draws" expect 0 with_faults nan_gradient:0 "${train}" "${tiny}" --wname first ${flags} ${rollback}
log_says "rolled back to step 0"
python3 -c "
lines = [line.split() for line in open('draws')]
taken = [(int(line[0]), int(line[1])) for line in lines]
# Seen a log interval later, when step 2 has been taken too; then the draws from 2 on make step 1.
assert taken[:8] == [(1, 0), (1, 1), (2, 2), (2, 3), (1, 2), (1, 3), (2, 4), (2, 5)], taken"

echo "Seen late, met twice, and after a stop between planned checkpoints: the same run as without."
late="--max_steps 8 --set validation.interval_steps=100 --set checkpoints.interval_steps=4 --set checkpoints.keep_last=1"
for policy in SKIP ROLLBACK; do
  expect 0 with_faults nan_gradient:10 "${train}" "${tiny}" --wname "late_${policy}" ${late} --set not_finite.policy=${policy}
  # The event of step 6 is known in step 7; the run is killed before it saves again.
  expect 5 with_faults nan_gradient:10,kill_gradient:8 "${train}" "${tiny}" --wname "twice_${policy}" ${late} \
    --set not_finite.policy=${policy}
  expect 75 with_faults nan_gradient:10,term_micro_batch:5:0 "${train}" "${tiny}" --wname "twice_${policy}" ${late} \
    --set not_finite.policy=${policy}
  [[ -d runs/twice_${policy}/checkpoints/step-000000005 ]] || fail "not stopped after step 5"
  expect 0 with_faults nan_gradient:10 "${train}" "${tiny}" --wname "twice_${policy}" ${late} --set not_finite.policy=${policy}
  "${same_checkpoints}" runs/{late,twice}_${policy}/checkpoints/step-000000008 || fail "${policy}: another run"
  ledger "twice_${policy}" '[event["step"] for event in events] == [6]'
  ledger "late_${policy}" '[event["step"] for event in events] == [6]'
done

# A run that goes on elsewhere has no checkpoint of the first one's to go back to, and makes its own.
expect 75 with_faults term_micro_batch:6:0 "${train}" "${tiny}" --wname source ${late} --set not_finite.policy=ROLLBACK
expect 0 with_faults nan_gradient:12 "${train}" "${tiny}" --wname moved ${late} --set not_finite.policy=ROLLBACK \
  --resume_from runs/source
log_says "resuming after step 6" "rolled back to step 6"
expect 0 with_faults nan_gradient:12 "${train}" "${tiny}" --wname moved ${late} --set not_finite.policy=ROLLBACK --replay_step 7
log_says "reproduced"

echo "Two ranks do as one does."
for policy in SKIP ROLLBACK; do
  for ranks in 1 2; do
    expect 0 with_faults "nan_gradient:10:$((ranks - 1))" "${train}" "${tiny}" --wname "ranks_${ranks}_${policy}" ${late} \
      --set not_finite.policy=${policy} --set training.precision=FP64 --set batch.global=2 --device cpu --gpus "${ranks}"
  done
  python3 - "${policy}" <<'PYTHON'
import json, math, sys
def rows(run):
    return [json.loads(line) for line in open(f"runs/{run}/metrics.jsonl")]
one, two = rows(f"ranks_1_{sys.argv[1]}"), rows(f"ranks_2_{sys.argv[1]}")
assert [row["step"] for row in one] == [row["step"] for row in two] and len(one) == 10, one
for a, b in zip(one, two):
    assert math.isclose(a.get("train_loss/sum", 0), b.get("train_loss/sum", 0), rel_tol=1e-9), (a, b)
    assert a.get("lr-AdamW") == b.get("lr-AdamW")
PYTHON
done

echo "--replay_step: the step again, from the ledger, changing nothing."
before="$(find runs/skip runs/back -type f -print0 | sort -z | xargs -0 sha256sum)"
expect 0 with_faults nan_gradient:6 "${train}" "${tiny}" --wname skip ${flags} --replay_step 4
log_says "reproduced" "draw 6" "draw 7" "1 of"
expect 0 with_faults nan_gradient:6 "${train}" "${tiny}" --wname back ${flags} ${rollback} --replay_step 4
log_says "reproduced"
expect 4 "${train}" "${tiny}" --wname skip ${flags} --replay_step 4
log_says "comes out finite here"
expect 2 "${train}" "${tiny}" --wname skip ${flags} --replay_step 5
log_says "those that were not finite: 4"
expect 2 "${train}" "${tiny}" --wname skip ${flags} --replay_step 4 --gpus 2 --device cpu
mkdir nowhere
BUILD_WORKING_DIRECTORY="${work}/nowhere" expect 2 "${train}" "${tiny}" ${flags} --replay_step 4
log_says "there is no run in runs/tiny"
[[ -z "$(ls -A nowhere)" ]] || fail "a replay of no run made something: $(ls -A nowhere)"
after="$(find runs/skip runs/back -type f -print0 | sort -z | xargs -0 sha256sum)"
[[ "${before}" == "${after}" ]] || fail "a replay changed the run: $(diff <(echo "${before}") <(echo "${after}"))"

echo "A loss that really becomes infinite is reproduced with its number, also when older checkpoints are gone by then."
real="--set voxel_vae.kl_anneal.weight_max=1e300 --set voxel_vae.kl_anneal.start_step=5 --set voxel_vae.kl_anneal.end_step=6"
expect 0 "${train}" "${tiny}" --wname real ${flags} ${real} --set not_finite.policy=SKIP \
  --set checkpoints.keep_last=1
[[ -d runs/real/checkpoints/step-000000006 && ! -e runs/real/checkpoints/step-000000007 ]] || fail "what is kept"
expect 0 "${train}" "${tiny}" --wname real ${flags} ${real} --replay_step 7
log_says "reproduced" "loss/kld" "inf"
echo "${commands} runs"
