#!/bin/bash
# Checkpoints by their W&B names, from a stand-in for the server: what comes of it, and that nobody takes "could not tell"
# for "is not there".
source "$(dirname "$0")/harness.sh"
checkpoint="${runfiles}/tools/checkpoint"
merge_ckpt="${runfiles}/tools/merge_ckpt"
export HOME="${work}/home" WANDB_API_KEY="kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
unset XDG_CACHE_HOME WANDB_ENTITY NETRC
cache="${HOME}/.cache/cubist/wandb"
# Short, for wandb-core's socket.
TMPDIR="$(mktemp -d /tmp/references-XXXXXX)"
export TMPDIR

stop_server() {
  kill -9 "${server}" 2>/dev/null || true
  wait "${server}" 2>/dev/null || true
}
requests() { python3 -c 'import json; print(len(json.load(open("server/state.json"))["requests"]))'; }

# A run of ours that was trained elsewhere, with both its checkpoints on the server.
mkdir -p elsewhere server "${HOME}"
expect 0 "${train}" "${tiny}" --run_dir elsewhere/tiny --set checkpoints.keep_every=4
python3 - <<'PYTHON'
import json, os
def artifact(step, aliases):
    folder = os.path.abspath("elsewhere/tiny/checkpoints/step-%09d" % step)
    return {"collection": ["team", "roads", "model-1a2b3c4d"], "aliases": aliases,
            "files": {name: os.path.join(folder, name) for name in os.listdir(folder)}}
seed = {"runs": [{"entity": "team", "project": "roads", "name": "1a2b3c4d", "displayName": "waymo/tiny"}],
        "artifacts": [artifact(4, ["step-4", "best"]), artifact(8, ["step-8", "latest", "last"])]}
json.dump(seed, open("server/seed.json.new", "w"))
PYTHON
mv server/seed.json.new server/seed.json
python3 "${runfiles}/tools/wandb/testing/loopback_server.py" "${work}/server" &
server=$!
trap 'stop_server; rm -rf "${TMPDIR}"' EXIT
while [[ ! -e server/port ]]; do sleep 0.05; done
WANDB_BASE_URL="http://127.0.0.1:$(cat server/port)"
export WANDB_BASE_URL
run=wdb:team/roads/1a2b3c4d

# Nothing is there as long as nobody can tell what is: neither a folder of a run nor a download.
left_nothing() {
  [[ ! -e runs && -z "$(find "${cache}" -type f -not -name '*.lock' 2>/dev/null)" ]] || fail "it left something"
}
for fault in "* 401 2 look at the key" "* 404 2 look at the address" "* 500 5 ${WANDB_BASE_URL}: " "GET wrong 5 bytes came" \
  "GET cut 5 cannot download"; do
  read -r name action code said <<<"${fault}"
  echo "${name} ${action}" >server/faults
  expect "${code}" "${train}" "${tiny}" --init_from "${run}"
  log_says "train: --init_from: \"${run}\": no such run here" "${said}"
  left_nothing
done
echo "* silence" >server/faults
expect 5 "${train}" "${tiny}" --resume_from "${run}"
log_says "train: --resume_from: \"${run}\"" "${WANDB_BASE_URL}: no answer"
left_nothing
echo "* 403" >server/faults
for rehearsal in --dry_run --preflight; do
  expect 2 "${train}" "${tiny}" --init_from "${run}" "${rehearsal}"
  log_says "--init_from" "look at the key"
  left_nothing
done
rm server/faults
expect 2 env -u WANDB_API_KEY "${train}" "${tiny}" --init_from "${run}"
log_says "no such run here" "set WANDB_API_KEY"
expect 2 "${train}" "${tiny}" --init_from wdb:team/roads/nothing
log_says "no run of team/roads there" "runs/nothing"
expect 2 "${train}" "${tiny}" --init_from "${run}:7"
log_says "has no artifact model-1a2b3c4d:step-7"
expect 2 "${merge_ckpt}" --branch_3d "${run}:7" --branch_2d "${run}" --output dual
log_says "model-1a2b3c4d:step-7"
expect 2 "${checkpoint}" verify "${run}:7" elsewhere/tiny:8
log_says "BAD" "model-1a2b3c4d:step-7" "ok  ${work}/elsewhere/tiny" "1 of 2"
left_nothing

# A signal ends a download that stands still.
echo "GET stall" >server/faults
for program in "${train} ${tiny} --init_from ${run}" "${checkpoint} show ${run}"; do
  : >signal_log
  ${program} >>signal_log 2>&1 &
  pid=$!
  wait_for signal_log "downloading ${run}" "${pid}"
  kill -TERM "${pid}"
  code=0
  wait "${pid}" || code=$?
  [[ "${code}" == 75 ]] || fail "exit code ${code} after a signal: $(cat signal_log)"
  left_nothing
done
rm server/faults

# What is there.
expect 0 "${checkpoint}" diff "${run}" elsewhere/tiny:8
log_says "downloading ${run}"
expect 0 "${checkpoint}" diff wdb:team/roads/waymo/tiny:best elsewhere/tiny:4
expect 1 "${checkpoint}" diff "${run}:4" elsewhere/tiny:8
expect 0 "${checkpoint}" show "${run}" --no_statistics
log_says "${cache}/team/roads/1a2b3c4d/"
expect 0 "${checkpoint}" verify "${run}" "${run}:4"
log_says "ok  ${cache}/team/roads/1a2b3c4d/"
expect 0 "${checkpoint}" log "${run}"
expect 3 "${merge_ckpt}" --branch_3d "${run}" --branch_2d "${run}:4" --output dual
log_says "${cache}/team/roads/1a2b3c4d/"
for rehearsal in --dry_run --preflight; do
  expect 0 "${train}" "${tiny}" --resume_from "${run}:4" "${rehearsal}"
  log_says "resuming after step 4 from ${cache}/team/roads/1a2b3c4d/"
  left="$(ls runs 2>/dev/null || true)"
  [[ -z "${left}" ]] || fail "a rehearsal left ${left}"
done
expect 0 "${train}" "${tiny}" --wname child --init_from "${run}" --max_steps 1 --gpus 2 --device cpu
log_says "tensors from ${cache}/team/roads/1a2b3c4d/"
expect 0 "${train}" "${tiny}" --wname further --resume_from wdb:team/roads/waymo/tiny:4
log_says "resuming after step 4 from ${cache}/team/roads/1a2b3c4d/"
same_checkpoint elsewhere/tiny runs/further 000000008

# A run that has checkpoints goes on from these, and asks nobody.
before="$(requests)"
expect 0 "${train}" "${tiny}" --wname child --init_from "${run}" --max_steps 2 --gpus 2 --device cpu
log_says "resuming after step 1" "step 2/2"
[[ "$(requests)" == "${before}" ]] || fail "the server was asked"
stop_server
expect 5 "${train}" "${tiny}" --wname other --init_from "${run}"
log_says "connection refused" "Earlier downloads" "${cache}/team/roads/1a2b3c4d/"
[[ ! -e runs/other ]] || fail "a run was started without its weights"
[[ -z "$(ls "${TMPDIR}")" ]] || fail "temporary files stayed: $(ls -R "${TMPDIR}")"
