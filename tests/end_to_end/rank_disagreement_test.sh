#!/bin/bash
# Ranks that were started by hand, each by its own call, refuse to start when they were not started alike: all of them,
# with exit code 2 and the name of what differs.
source "$(dirname "$0")/harness.sh"

# ranks CODE WORLD_SIZE_0 WORLD_SIZE_1 FOLDER_1 FLAGS_1...: two calls; the second in its own folder with its own flags.
ranks() {
  local code="$1" size_0="$2" size_1="$3" folder="$4" port rank codes=(0 0) pids=()
  shift 4
  port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
  local common=("${train}" "${tiny}" --device cpu --set training.max_steps=1)
  local shared=(--run_dir "${work}/runs/shared")
  local rank_1=("$@")
  [[ "$*" == *--run_dir* ]] || rank_1+=("${shared[@]}")
  local place="MASTER_ADDR=127.0.0.1 MASTER_PORT=${port}"
  env ${place} RANK=0 WORLD_SIZE="${size_0}" "${common[@]}" "${shared[@]}" >log_0 2>&1 &
  pids+=($!)
  env ${place} RANK=1 WORLD_SIZE="${size_1}" BUILD_WORKING_DIRECTORY="${folder}" "${common[@]}" "${rank_1[@]}" >log_1 2>&1 &
  pids+=($!)
  for rank in 0 1; do
    wait "${pids[rank]}" || codes[rank]=$?
  done
  [[ "${codes[*]}" == "${code} ${code}" ]] || { cat log_0 log_1 >log; fail "exit codes ${codes[*]}, not ${code}"; }
}

# both_say TEXT...: each of the two did.
both_say() {
  local text rank
  for text in "$@"; do
    for rank in 0 1; do
      grep -qF -- "${text}" "log_${rank}" || { cat log_0 log_1 >log; fail "rank ${rank} does not say: ${text}"; }
    done
  done
}

expect 0 "${train}" "${tiny}" --max_steps 0
mkdir other
cp -r data other/data
rm other/data/*/"$(ls data/pose | head -n 1)"

ranks 2 2 2 "${work}" --set optimizer.beta1=0.8
both_say "config hash"
ranks 2 2 2 "${work}/other"
both_say "data manifest"
ranks 2 2 3 "${work}"
both_say "the world size 2 of rank 0" "the world size 3 of rank 1"
[[ -z "$(ls runs/shared/checkpoints)" && ! -s runs/shared/metrics.jsonl ]] || fail "it started"

# Nothing else kept them from starting.
ranks 0 2 2 "${work}"
[[ -s runs/shared/checkpoints/step-000000001/MANIFEST ]] || fail "no checkpoint"

# Folders that are not shared: one rank would go on from the checkpoint, the other from nothing.
ranks 2 2 2 "${work}" --run_dir "${work}/runs/not_shared"
both_say "step that the run goes on from" "checkpoint that it goes on from"
