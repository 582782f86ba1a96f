#!/bin/bash
# A run that goes to the reference's format and back goes on as if nothing had happened.
source "$(dirname "$0")/harness.sh"
checkpoint="${runfiles}/tools/checkpoint"

expect 0 "${train}" "${tiny}" --set checkpoints.keep_every=4
run="${PWD}/runs/tiny"

# Our format holds all of a run: there and back, then on, bit for bit.
expect 0 "${checkpoint}" convert "${run}:4" there.ckpt
log_says "wrote" "there.ckpt"
expect 0 "${checkpoint}" convert there.ckpt runs/back
same_checkpoint runs/tiny runs/back 000000004
expect 0 "${train}" runs/back/config.textproto --run_dir runs/back
log_says "resuming after step 4"
same_checkpoint runs/tiny runs/back 000000008

# A file of the reference knows the step, the weights and the moments, and no draws of ours.
python3 - <<'PYTHON'
import zipfile
# As the reference would have written it: without what convert added beside it.
with zipfile.ZipFile("there.ckpt") as source, zipfile.ZipFile("theirs.ckpt", "w") as target:
    for member in source.infolist():
        content = source.read(member)
        if member.filename.endswith("data.pkl"):
            assert content.count(b"cubist") == 1
            content = content.replace(b"cubist", b"others")
        target.writestr(member, content)
PYTHON
expect 0 "${train}" "${tiny}" --wname theirs --resume_from theirs.ckpt
log_says "resuming after step 4 from" "theirs.ckpt (Lightning 1.9.4)" "step 8/8"
log_says "the file has no moving averages"
# It drew the same samples, since the run at home had one rank and skipped nothing.
for file in model optimizer; do
  cmp runs/{tiny,theirs}/checkpoints/step-000000008/${file}.safetensors || fail "${file} differs"
done

expect 0 "${checkpoint}" convert --weights_only "${run}" weights.ckpt
expect 2 "${train}" "${tiny}" --wname lost --resume_from weights.ckpt
log_says "weights alone" "--init_from"
expect 0 "${train}" "${tiny}" --wname started --init_from weights.ckpt --max_steps 1
