#!/bin/bash
# The front of a run as a user meets it: the real //tools:train, copied into a folder with a worker of our own
# beside it, which says what it was given and does what the variable FAKE_WORKER says.
set -uo pipefail

readonly source_tree="${TEST_SRCDIR}/${TEST_WORKSPACE}"
readonly work="${TEST_TMPDIR}/work"
failures=0

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

rm -rf "${work}"
mkdir -p "${work}/bin" "${work}/user/data"
cp -L "${source_tree}/tools/train" "${work}/bin/train"
cat >"${work}/bin/train_worker" <<'WORKER'
#!/usr/bin/python3
import os, signal, sys, time
rank = os.environ["CUBIST_RANK"]
print(f"rank {rank} of {os.environ['CUBIST_WORLD_SIZE']}, local {os.environ['CUBIST_LOCAL_RANK']}, "
      f"port {os.environ['MASTER_PORT']}, in {os.getcwd()}")
for argument in sys.argv[1:]:
    print("argument", argument, flush=True)
flags = dict(a[2:].split("=", 1) for a in sys.argv[1:] if "=" in a)
if "rehearse" not in flags:
    with open(flags["config"]) as config, open(f"{flags['run_dir']}/seen_by_{rank}.textproto", "w") as seen:
        seen.write(config.read())
action = os.environ.get("FAKE_WORKER")
if action == "data":
    if rank != "1":
        sys.exit(5)
    print("clip 7 is damaged", file=sys.stderr)
    sys.exit(3)
if action == "wait":
    # Stopping signals come blocked to a worker.
    print("blocked", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    open(f"{flags['run_dir']}/waiting_{rank}", "w").close()
    print("stopped by", signal.sigwait([signal.SIGINT, signal.SIGTERM]), "and saved")
    sys.exit(75)
WORKER
chmod +x "${work}/bin/train_worker"
cat >"${work}/user/small.textproto" <<CONFIG
include: "${source_tree}/configs/quickstart/vae.textproto"
reset: "data.synthesize"
name: "small"
data { data_root: "data" }
CONFIG

# Runs train in the user's folder; leaves stdout, stderr and code.
train() {
  stdout="$(cd "${work}/user" && "${work}/bin/train" "$@" 2>"${work}/stderr")"
  code=$?
  stderr="$(<"${work}/stderr")"
}
expect_code() { [[ "${code}" == "$1" ]] || fail "${name}: exit code ${code}, expected $1: ${stdout} ${stderr}"; }
expect_in() { [[ "$1" == *"$2"* ]] || fail "${name}: '$2' is not in: $1"; }
expect_last_line() { [[ "${stdout##*$'\n'}" == "$1" ]] || fail "${name}: last line '${stdout##*$'\n'}', expected '$1'"; }

name="help"
train --help
expect_code 0
for flag in config --run_dir --wname --data_root --assets_root --max_steps --eval_interval --device --gpus --seed \
  --logger_type --init_from --resume_from --fresh --set --allow_fallback --dry_run --preflight --profile_steps --replay_step --print_config \
  --explain; do
  expect_in "${stdout}" "${flag}"
done
expect_in "${stdout}" "train configs/quickstart/vae.textproto --gpus 2 --device cpu"

name="flags that are wrong"
for arguments in "" "--no_such_flag" "small.textproto --gpus 0" "small.textproto --gpus x" \
  "small.textproto --dry_run --preflight" "small.textproto --dry_run --replay_step 3" "small.textproto --replay_step 0" \
  "small.textproto --profile_steps 3" "small.textproto --profile_steps 3:2" "small.textproto --profile_steps 0:2" \
  "small.textproto --device tpu" "small.textproto --device cuda" "small.textproto --logger_type csv" \
  "small.textproto --logger_type wandb" "absent.textproto" "small.textproto second.textproto" \
  "small.textproto --max_steps -1" "small.textproto --set" "small.textproto --set no.such=1" \
  "small.textproto --wname a/b" "small.textproto --init_from a --resume_from b"; do
  # shellcheck disable=SC2086
  train ${arguments}
  expect_code 2
  [[ -n "${stderr}" && -z "${stdout}" ]] || fail "${name}: '${arguments}' printed '${stdout}', said '${stderr}'"
done
train small.textproto --logger_type wandb
expect_in "${stderr}" "--logger_type none"
train small.textproto --profile_steps 15:10
expect_in "${stderr}" '--profile_steps: "15:10": the last step is before the first one'
[[ ! -e "${work}/user/runs" ]] || fail "${name}: a refused run left a folder"

name="print_config: flags beat the file; its text has the hash that is said"
train small.textproto --print_config --max_steps 7 --seed 11 --data_root elsewhere --assets_root assets \
  --eval_interval 4 --logger_type tensorboard --set batch.per_gpu=3 --set optimizer.beta1=0.8
expect_code 0
for line in 'max_steps: 7' 'seed: 11' 'data_root: "elsewhere"' 'assets_root: "assets"' 'interval_epochs: 4' \
  'logger_type: TENSORBOARD' 'per_gpu: 3' 'beta1: 0.8'; do
  expect_in "${stdout}" "${line}"
done
[[ "$(grep -c '^ *interval_steps: 100' <<<"${stdout}")" == 0 ]] || fail "${name}: --eval_interval lost to interval_steps"
expect_in "${stderr}" "config hash: $(sha256sum <<<"${stdout}" | cut -d' ' -f1)"

name="explain"
train --explain batch.per_gpu
expect_code 0
expect_in "${stdout}" "per_gpu"
train small.textproto --explain batch.per_gpu --set batch.per_gpu=5
expect_in "${stdout}" "5"
train --explain batch.per_gpus
expect_code 2

name="dry run"
train small.textproto --dry_run --gpus 3
expect_code 0
expect_in "${stdout}" "would start 3 of 3 ranks"
expect_in "${stdout}" "argument --rehearse=dry_run"
expect_in "${stdout}" "rank 0 of 3, local 0"
[[ "${stdout}" != *"rank 1 of 3"* ]] || fail "${name}: one process takes the step"
expect_last_line "run folder: runs/small"
[[ ! -e "${work}/user/runs" ]] || fail "${name}: made a folder"

name="a run"
mkdir -p "${work}/user/runs/small"  # to have something to replay
train small.textproto --init_from 'a b.ckpt' --allow_fallback --profile_steps 10:15 --replay_step 7
expect_code 0
expect_last_line "run folder: runs/small"
expect_in "${stdout}" "rank 0 of 1, local 0, port 0, in ${work}/user"
for argument in --run_dir=runs/small --device=cpu '--init_from=a b.ckpt' --allow_fallback --profile_steps=10:15 \
  --replay_step=7; do
  expect_in "${stdout}" "argument ${argument}"$'\n'
done
train small.textproto --print_config
cmp -s <(echo "${stdout}") "${work}/user/runs/small/seen_by_0.textproto" || fail "${name}: the worker got another config"

name="started again it goes on in the same folder, --fresh in a new one"
train small.textproto
expect_last_line "run folder: runs/small"
train small.textproto --fresh
expect_last_line "run folder: runs/small-2"
train small.textproto --wname other
expect_last_line "run folder: runs/other"
train small.textproto --run_dir "${work}/else where"
expect_last_line "run folder: ${work}/else where"

name="the folder that the user stands in, under bazel run"
stdout="$(cd / && BUILD_WORKING_DIRECTORY="${work}/user" "${work}/bin/train" small.textproto --wname elsewhere)"
expect_last_line "run folder: runs/elsewhere"
[[ -d "${work}/user/runs/elsewhere" ]] || fail "${name}: no such folder"

name="several ranks"
train small.textproto --gpus 3 --wname ranks
expect_code 0
expect_in "${stdout}" "rank 0 of 3, local 0"
for rank in 1 2; do
  expect_in "$(<"${work}/user/runs/ranks/logs/rank-${rank}.log")" "rank ${rank} of 3, local ${rank}"
  cmp -s "${work}/user/runs/ranks/seen_by_0.textproto" "${work}/user/runs/ranks/seen_by_${rank}.textproto" ||
    fail "${name}: rank ${rank} got another config"
done

name="the cause decides the exit code and is shown"
FAKE_WORKER=data train small.textproto --gpus 3 --wname damaged
expect_code 3
expect_in "${stderr}" "clip 7 is damaged"
[[ ! -e "${work}/user/runs/damaged" ]] || fail "${name}: a run that saved nothing left a folder"

name="one task a rank under SLURM"
SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_NNODES=1 SLURM_NTASKS=2 SLURM_PROCID=1 SLURM_LOCALID=1 MASTER_ADDR=localhost \
  MASTER_PORT=4711 train small.textproto --wname slurm
expect_code 0
expect_in "$(<"${work}/user/runs/slurm/logs/rank-1.log")" "rank 1 of 2, local 1, port 4711"
SLURM_STEP_ID=0 SLURM_NNODES=1 SLURM_NTASKS=2 SLURM_PROCID=1 train small.textproto --gpus 2
expect_code 2

name="data that is not there"
train small.textproto --data_root absent --wname nodata
expect_code 3
expect_in "${stderr}" "absent"
[[ ! -e "${work}/user/runs/nodata" ]] || fail "${name}: a refused run left a folder"

name="a folder that a flag names is not made up"
train small.textproto --data_root absent --set 'training.max_steps=1' --wname nodata
expect_code 3

name="an empty value is no default"
train small.textproto --wname ''
expect_code 2
expect_in "${stderr}" "--wname"

name="data is made when the config says how"
train small.textproto --data_root made --wname made \
  --set 'data.synthesize={ clips: 2 frames: 60 point_spacing: 0.5 }'
expect_code 0
[[ "$(find "${work}/user/made" -name '*.tar' | wc -l)" -ge 2 ]] || fail "${name}: no archives"
[[ -z "$(find "${work}/user" -maxdepth 1 -name 'made.tmp*')" ]] || fail "${name}: temporary folder left"

name="interrupted: passed on, saved, 75; another run in the same folder is refused meanwhile"
(cd "${work}/user" && FAKE_WORKER=wait exec "${work}/bin/train" small.textproto --gpus 2 --wname stopped \
  >"${work}/stopped.out" 2>"${work}/stopped.err") &
front=$!
while [[ ! -e "${work}/user/runs/stopped/waiting_0" || ! -e "${work}/user/runs/stopped/waiting_1" ]]; do sleep 0.01; done
train small.textproto --wname stopped
expect_code 6
kill -TERM "${front}"
wait "${front}"
code=$?
stdout="$(<"${work}/stopped.out")"
stderr="$(<"${work}/stopped.err")"
expect_code 75
expect_in "${stdout}" "saved"
expect_last_line "run folder: runs/stopped"
expect_in "$(<"${work}/user/runs/stopped/logs/rank-1.log")" "saved"

name="no worker"
rm "${work}/bin/train_worker"
unset RUNFILES_DIR
TEST_SRCDIR= train small.textproto
expect_code 2
expect_in "${stderr}" "${work}/bin/train_worker"

((failures == 0)) && echo "all passed"
exit "$((failures > 0))"
