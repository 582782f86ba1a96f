#!/bin/bash
# What a user does wrong has a name, a place, a way out and an exit code, and leaves nothing behind.
source "$(dirname "$0")/harness.sh"

expect 2 "${train}" "${tiny}" --set voxel_vae.base_chanels=8
log_says "base_chanels" "base_channels"
expect 2 "${train}" "${tiny}" --set training.max_steps=many
log_says "training.max_steps"
expect 2 "${train}" "${tiny}" --set batch.per_gpu=0
log_says "batch.per_gpu" "--set"
expect 2 "${train}" missing.textproto
log_says "missing.textproto"
expect 2 "${train}" "${tiny}" --logger_type wandb
log_says "--logger_type none"
expect 2 "${train}" "${tiny}" --set training.precision=BF16
log_says "FP32"
expect 2 "${train}" "${tiny}" --set training.precision=BF16 --logger_type wandb
log_says "--logger_type none" "FP32"
expect 2 "${train}" "${tiny}" --set training.precision=BF16 --logger_type wandb --dry_run
log_says "FP32"
! grep -q logger_type log || fail "a dry run writes no logs"
[[ ! -e data ]] || rm -r data runs

expect 3 "${train}" "${runfiles}/configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto" \
  --data_root nowhere --logger_type none --set training.precision=FP32
log_says "nowhere" "synthesize_scenes"

# Damaged data: the archive, the member and the offset.
expect 0 "${train}" "${tiny}" --max_steps 1
clip="$(ls data/pose | head -n 1)"
for attribute in data/pose; do
  for tar in "${attribute}"/*.tar; do truncate -s 3000 "${tar}"; done
done
expect 3 "${train}" "${tiny}" --wname damaged --max_steps 2
log_says "data/pose/" ".tar"
rm -r data
expect 0 "${train}" "${tiny}" --wname whole --max_steps 1
rm "data/static_object_info/${clip}"
expect 3 "${train}" "${tiny}" --wname gone --max_steps 2 --set "data.train_clips=[\"${clip%.tar}\"]"
log_says "static_object_info/${clip}"

# A damaged checkpoint: file and tensor, and an older one only when asked for.
rm -r data
expect 0 "${train}" "${tiny}"
printf '\xff' | dd of=runs/tiny/checkpoints/step-000000008/model.safetensors bs=1 seek=60000 conv=notrunc 2>/dev/null
expect 6 "${train}" "${tiny}" --max_steps 9
log_says "step-000000008/model.safetensors" "--allow_fallback"
expect 0 "${train}" "${tiny}" --max_steps 9 --allow_fallback
log_says "resuming after step 4"

# Two runs in one folder.
"${train}" "${tiny}" --wname busy --max_steps 100000 >busy_log 2>&1 &
pid=$!
for ((i = 0; i < 2400; ++i)); do
  grep -qF "parameters;" busy_log && break
  sleep 0.05
done
expect 6 "${train}" "${tiny}" --wname busy
log_says "runs/busy" "process"
kill -TERM "${pid}"
wait "${pid}" || [[ $? == 75 ]] || fail "the first run should be preempted"

# A gradient that is not finite ends the run and touches no weight.
expect 4 "${train}" "${tiny}" --wname nan --max_steps 3 --set voxel_vae.structure_weight=1e300
log_says "not finite"
[[ -z "$(ls runs/nan/checkpoints)" ]] || fail "a step that was not taken was saved"
