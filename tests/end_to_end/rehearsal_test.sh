#!/bin/bash
# --dry_run and --preflight say what a run would do and need, name what is wrong, and leave nothing behind.
source "$(dirname "$0")/harness.sh"

export TMPDIR="${TEST_TMPDIR}/tmp"
mkdir "${TMPDIR}"

# Everything in the user's folder and among the temporary files: names, files' times and contents.
state() {
  find . "${TMPDIR}" -mindepth 1 -not -name log \( -type d -printf '%p\n' -o -printf '%p %s %T@\n' \) | sort
  find . -type f -not -name log -exec cksum {} + | sort
}

# leaves_all CODE COMMAND...: expects the exit code, and that nothing was made, changed or removed.
leaves_all() {
  local before
  before="$(state)"
  expect "$@"
  [[ "$(state)" == "${before}" ]] || fail "it left something: $(diff <(echo "${before}") <(state))"
}

# same_loss TEXT RUN STEP: the last command's loss, after TEXT, is that of the run's step, as far as it is printed.
same_loss() {
  python3 - "$@" <<'PYTHON'
import json, re, sys
text, run, step = sys.argv[1:]
said = re.search(re.escape(text) + r"([-+.\de]+)", open("log").read()).group(1)
rows = [json.loads(line) for line in open(f"runs/{run}/metrics.jsonl")]
loss = next(r["train_loss/sum"] for r in rows if r["step"] == int(step) and r["split"] == "train")
assert f"{loss:.4g}" == said, (loss, said)
PYTHON
}

# Nothing is there yet: data is made for the moment.
leaves_all 0 "${train}" "${tiny}" --dry_run --gpus 2 --device cpu
log_says "would start 2 of 2 ranks" "data: data (would be synthesized)" "317949 parameters in FP32 on the cpu; a new run" \
  "4 samples a step (1 at once, 2 times, on 2 ranks); about 9.8 steps an epoch of 39 samples" \
  "making 2 scenes for the rehearsal" "1 clip to train on, 1 to validate on here, made for this; the run would make 4" \
  "taken by one process with its share of the batch: 2 of 4 samples" "for the 2 ranks here; this machine has" \
  "6.36 MB each, at most 3 at once: 19.1 MB;" "are free in ." "run folder: runs/tiny"
leaves_all 0 "${train}" "${tiny}" --preflight
for check in archives frames model ranks steps validation memory checkpoint disk time; do
  grep -q "^  ok       ${check} " log || fail "no line of ${check}"
done
log_says "the same, bit for bit" "all 18 open" "24 of 24 were decoded" "8 steps, 4 validations, 2 saves" \
  "preflight: none of 9 checks failed"

# What is tried is what the run does.
expect 0 "${train}" "${tiny}"
leaves_all 0 "${train}" "${tiny}" --wname other --dry_run
log_says "3 clips to train on, 1 to validate on" "19.5 steps an epoch of 39 samples" \
  "training reads frames 2 to 14: all there in 3 clips" "validation reads frame 5: all there in 1 clip"
same_loss "loss " tiny 1
leaves_all 0 "${train}" "${tiny}" --wname other --dry_run --logger_type wandb
leaves_all 0 "${train}" "${tiny}" --wname other --preflight
same_loss "loss " tiny 1
same_loss "then " tiny 5
log_says "all 36 open" "48 of 48 were decoded"

# A run that exists is where it would go on, and stays as it is.
expect 0 "${train}" "${tiny}" --wname half --max_steps 4
leaves_all 0 "${train}" "${tiny}" --wname half --dry_run
log_says "resuming after step 4 from ${PWD}/runs/half/checkpoints/step-000000004"
same_loss "loss " tiny 5
leaves_all 0 "${train}" "${tiny}" --wname half --preflight --gpus 2 --device cpu --set batch.accumulate=1
log_says "resuming after step 4" "2 of 2 met; summing a gradient of 1.27 MB" "3 at once, 1 of them there: 1" "for the 2 ranks here" \
  "4 steps, 2 validations, 1 save ("
leaves_all 2 "${train}" "${tiny}" --wname half --dry_run --set learning_rate.initial=0.5
log_says "learning_rate.initial"
leaves_all 2 "${train}" "${tiny}" --dry_run --wname other --init_from nowhere.ckpt
log_says "--init_from nowhere.ckpt"
printf '\xff' | dd of=runs/half/checkpoints/step-000000004/model.safetensors bs=1 seek=60000 conv=notrunc 2>/dev/null
leaves_all 6 "${train}" "${tiny}" --wname half --preflight
log_says "FAILED   model" "step-000000004/model.safetensors" "--allow_fallback" "skipped  the others" \
  "preflight: 1 of 9 checks failed: model"

# A place that cannot hold the checkpoints.
touch file
leaves_all 6 "${train}" "${tiny}" --run_dir file/run --dry_run
log_says "file: is no folder"
leaves_all 6 "${train}" "${tiny}" --run_dir file/run --preflight
log_says "FAILED   model" "file: is no folder"
leaves_all 0 "${train}" "${tiny}" --wname other --dry_run --set checkpoints.keep_last=2000000000
log_says "WARNING  checkpoints" "this run will fill the disk"
leaves_all 6 "${train}" "${tiny}" --wname other --preflight --set checkpoints.keep_last=2000000000
log_says "FAILED   disk" "keep_last is 2000000000" "ok       archives" "preflight: 1 of 9 checks failed: disk"
for ranks in 1 2; do
  leaves_all 6 bash -c "ulimit -f 1000 && exec '${train}' '${tiny}' --run_dir new/deep/run --preflight --gpus ${ranks} --device cpu"
  log_says "FAILED   checkpoint" "new/deep/run/checkpoints/step-000000000/" "File too large" "ok       archives" \
    "skipped  time        nothing was measured of: checkpoint" "preflight: 1 of 9 checks failed: checkpoint"
  ! grep -F -e .tmp- -e .preflight- log || fail "it names a temporary file"
done
expect 0 "${train}" "${tiny}" --wname full --max_steps 1 --set checkpoints.keep_last=2000000000
log_says "warning: checkpoints: 6.36 MB each" "this run will fill the disk"

# A step that cannot be taken.
leaves_all 4 "${train}" "${tiny}" --wname other --dry_run --set voxel_vae.structure_weight=1e300
log_says "step 1 is not finite"
leaves_all 4 "${train}" "${tiny}" --wname other --preflight --set voxel_vae.structure_weight=1e300
log_says "FAILED   steps" "step 1 is not finite" "ok       checkpoint" "skipped  memory" \
  "skipped  time        nothing was measured of: steps"

# Frames that no archive has, found before a step is taken.
frames=(--wname other --set 'data.synthesize={ frames: 1000 }')
leaves_all 3 "${train}" "${tiny}" "${frames[@]}" --dry_run --set data.frame_end=25 --set data.validation_start_frame=30
log_says "training reads frames 2 to 24: not all there in 3 of 3 clips" "pose: 5 of 23 frames are missing, the first is 20" \
  "set data.frame_end=20 (it is 25), or use data with clips of 25 frames: synthesize_scenes --frames 25" "validation reads frame 30: not all there in 1 of 1 clip" \
  "set data.validation_start_frame=19 (it is 30)"
leaves_all 0 "${train}" "${tiny}" "${frames[@]}" --dry_run --set data.frame_end=20 --set data.validation_start_frame=19
leaves_all 3 "${train}" "${tiny}" "${frames[@]}" --preflight --set data.validation_start_frame=30
log_says "ok       archives" "FAILED   frames" "ok       steps" "FAILED   validation" \
  "skipped  time        nothing was measured of: validation" "preflight: 2 of 9 checks failed: frames, validation"

# stopped CODE WHO SIGNAL TEXT COMMAND...: once the command has said the text, the signal goes to all of its processes, as
# from a terminal, to the front, or to the second worker.
stopped() {
  local wanted="$1" who="$2" signal="$3" text="$4" code=0 before
  shift 4
  before="$(state)"
  : >log
  setsid "$@" >log 2>&1 &
  local pid=$!
  for ((i = 0; i < 2400; ++i)); do
    grep -qF -- "${text}" log && break
    kill -0 "${pid}" 2>/dev/null || fail "ended before it said: ${text}"
    sleep 0.05
  done
  case "${who}" in
    all) kill "-${signal}" -- "-${pid}" ;;
    front) kill "-${signal}" "${pid}" ;;
    second) kill "-${signal}" "$(cut -d ' ' -f 2 "/proc/${pid}/task/${pid}/children")" ;;
  esac
  wait "${pid}" || code=$?
  [[ "${code}" == "${wanted}" ]] || fail "exit code ${code}, not ${wanted}, after SIG${signal} at: ${text}"
  [[ "$(state)" == "${before}" ]] || fail "it left something: $(diff <(echo "${before}") <(state))"
}
long=(--wname other --set data.prefetch_batches=64)  # as many steps are measured, and some more
made_up=(--set 'data.data_root="elsewhere"')
stopped 75 all TERM "ok       ranks" "${train}" "${tiny}" --preflight "${long[@]}" --gpus 2 --device cpu
stopped 75 all INT "ok       model" "${train}" "${tiny}" --preflight "${long[@]}"
stopped 75 front TERM "making 2 scenes" "${train}" "${tiny}" --dry_run "${made_up[@]}" \
  --set 'data.synthesize={ clips: 2 frames: 400 point_spacing: 0.04 }'
stopped 75 front TERM "ok       ranks" "${train}" "${tiny}" --preflight "${long[@]}" "${made_up[@]}" \
  --set 'data.synthesize={ clips: 2 frames: 20 point_spacing: 0.3 }'
stopped 5 second KILL "ok       ranks" "${train}" "${tiny}" --preflight "${long[@]}" --gpus 2 --device cpu
log_says "FAILED   steps" "rank 1"

# Damaged archives: all of them, by name.
clip="$(ls data/pose | head -n 1)"
held_out="data.validation_clips=[\"$(ls data/pose | tail -n 1 | sed 's/.tar$//')\"]"
truncate -s 3000 "data/pose/${clip}"
truncate -s 700 "data/dynamic_object_info/${clip}"
for ranks in 1 2; do
  leaves_all 3 "${train}" "${tiny}" --wname other --preflight --gpus "${ranks}" --device cpu --set "${held_out}"
  log_says "FAILED   archives" "2 of 36 archives are damaged" "data/pose/${clip}" "data/dynamic_object_info/${clip}" \
    "FAILED   frames" "ok       checkpoint" "of 9 checks failed: archives, frames, "
done
leaves_all 0 "${train}" "${tiny}" --wname other --preflight --set "${held_out}" \
  --set data.bad_samples.policy=SKIP --set data.bad_samples.max_rate=0.9
log_says "WARNING  archives" "WARNING  frames" "2 of 36 archives are damaged" "data/pose/${clip}" "lets the run go on without them" \
  "samples were left out"
