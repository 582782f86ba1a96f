#!/bin/bash
# From no data to a trained model: what a run leaves behind, and that a second call has nothing left to do.
source "$(dirname "$0")/harness.sh"

expect 0 "${train}" "${tiny}"
log_says "making 4 scenes" "validation at step 0:" "validation at step 8:" "run folder: runs/tiny"
for file in config.textproto metrics.jsonl checkpoints/step-000000004/model.safetensors \
  checkpoints/step-000000008/MANIFEST pictures/step-000000000-validation.png pictures/step-000000008-validation.png \
  pictures/step-000000004-train.png; do
  [[ -s "runs/tiny/${file}" ]] || fail "no ${file}"
done
ls runs/tiny/events/events.out.tfevents.* >/dev/null

# Every step has a row, and the names are the reference's.
python3 - <<'PYTHON'
import json
rows = [json.loads(line) for line in open("runs/tiny/metrics.jsonl")]
assert [r["step"] for r in rows if r["split"] == "train"] == list(range(1, 9)), rows
assert [r["step"] for r in rows if r["split"] == "validation"] == [0, 3, 6, 8], rows
terms = ["struct-2", "struct-1", "struct-0", "semantic_-1", "kld", "mu-0", "logvar-0", "kld-true-0", "kld-total-0"]
for row in rows:
    prefix = "train" if row["split"] == "train" else "val"
    for term in terms:
        assert f"{prefix}_loss/{term}" in row, (term, row)
    for level in range(3):
        assert 0 <= row[f"{prefix}_metric/struct-acc-{level}"] <= 1
        assert 0 <= row[f"{prefix}_metric/iou-{level}"] <= 1
    total = row["train_loss/sum"] if prefix == "train" else row["val_loss"]
    parts = sum(row[f"{prefix}_loss/{term}"] for term in terms[:5])
    assert abs(total - parts) < 1e-4 * abs(total), (total, parts)
validation = [r for r in rows if r["split"] == "validation"]
assert validation[-1]["best/val_loss"] == min(r["val_loss"] for r in validation)
assert validation[-1]["val_loss"] < validation[0]["val_loss"], "eight steps lower the loss"
PYTHON

# Done is done.
cp -r runs/tiny before
expect 0 "${train}" "${tiny}"
log_says "resuming after step 8" "done: step 8"
same_checkpoint before runs/tiny 000000008
cmp before/metrics.jsonl runs/tiny/metrics.jsonl

# More steps go on from there; a field that makes it another run does not.
expect 0 "${train}" "${tiny}" --max_steps 9
log_says "resuming after step 8" "step 9/9"
[[ -d runs/tiny/checkpoints/step-000000009 ]] || fail "no step 9"
expect 2 "${train}" "${tiny}" --max_steps 10 --set learning_rate.initial=0.5
log_says "learning_rate.initial" "0.001" "0.5" "--fresh"
[[ ! -d runs/tiny/checkpoints/step-000000010 ]] || fail "it went on"
expect 0 "${train}" "${tiny}" --max_steps 1 --fresh --set learning_rate.initial=0.5
[[ -d runs/tiny-2/checkpoints/step-000000001 ]] || fail "--fresh makes a run of its own"

# Weights of one run start another.
expect 0 "${train}" "${tiny}" --wname child --init_from runs/tiny --max_steps 1
log_says "weights: all 105 tensors from" "runs/tiny/checkpoints/step-000000009"
expect 0 "${train}" "${tiny}" --wname copy --init_from runs/tiny/checkpoints/step-000000009/model.safetensors --max_steps 0
# The same command goes on with a run that started from weights.
expect 0 "${train}" "${tiny}" --wname child --init_from runs/tiny --max_steps 2
log_says "resuming after step 1" "were for the start of this run"
expect 0 "${train}" "${tiny}" --wname state --resume_from runs/tiny --max_steps 9
log_says "resuming after step 9 from" "runs/tiny/checkpoints"
same_checkpoint runs/tiny runs/state 000000009
expect 2 "${train}" "${tiny}" --wname lost --resume_from nowhere
log_says "--resume_from nowhere" "there is no such run, checkpoint or file"
expect 2 "${train}" "${tiny}" --wname lost --init_from nowhere.ckpt
log_says "--init_from nowhere.ckpt"
[[ ! -e runs/lost ]] || fail "a run that could not start leaves nothing"
tiny_first="--run_dir ${PWD}/runs/tiny"
expect 2 "${train}" "${tiny}" ${tiny_first} --set batch.accumulate=4 --max_steps 10
log_says "takes 2 samples" "would take 4"
expect 0 "${train}" "${tiny}" ${tiny_first} --set batch.per_gpu=2 --set batch.accumulate=1 --max_steps 10
rm -r data/*/"$(ls data/pose | head -n 1)"
expect 0 "${train}" "${tiny}" ${tiny_first} --max_steps 11
log_says "the clips of this run have changed"

# The reference's order of clamping and averaging is another run.
expect 0 "${train}" "${tiny}" --wname reference --max_steps 2 --set compat=REFERENCE --set batch.per_gpu=2
expect 2 "${train}" "${tiny}" --wname reference --max_steps 3 --set compat=REFERENCE --set batch.per_gpu=4 \
  --set batch.accumulate=1
log_says "batch.per_gpu was 2"
expect 0 "${train}" "${tiny}" --wname correct --max_steps 2 --set batch.per_gpu=2
if cmp -s runs/{reference,correct}/checkpoints/step-000000002/model.safetensors; then fail "compat changes nothing"; fi
expect 3 "${train}" "${tiny}" --wname wide --init_from runs/tiny --max_steps 1 --set voxel_vae.encoder_channels=16
log_says "missing: unet.encoders.Enc0-Block0.skip_connection.weight"
