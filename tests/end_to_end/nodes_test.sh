#!/bin/bash
# Two nodes of a SLURM step, played by two calls on this machine: both find no data and make it once, train as one
# run, and leave the output of each rank and the exit code of each node where --log_dir says.
source "$(dirname "$0")/harness.sh"

# node NUMBER ARGUMENTS...: the call of train on that node.
node() {
  local number="$1"
  shift
  env SLURM_JOB_ID=77 SLURM_STEP_ID=0 SLURM_STEP_NUM_NODES=2 SLURM_STEP_NUM_TASKS=2 SLURM_NNODES=2 SLURM_NTASKS=2 \
    SLURM_NODEID="${number}" SLURM_PROCID="${number}" MASTER_ADDR=127.0.0.1 MASTER_PORT="${port}" \
    "${train}" "${tiny}" --device cpu "$@" >"node-${number}.log" 2>&1
}
# both CODE0 CODE1 ARGUMENTS...: both nodes, and the exit code of each.
both() {
  local codes=("$1" "$2") code=0
  shift 2
  port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
  node 1 "$@" &
  local other=$!
  node 0 "$@" || code=$?
  [[ "${code}" == "${codes[0]}" ]] || fail "node 0 ended with ${code}: $(cat node-0.log)"
  code=0
  wait "${other}" || code=$?
  [[ "${code}" == "${codes[1]}" ]] || fail "node 1 ended with ${code}: $(cat node-1.log)"
}

both 0 0 --wname pair --max_steps 2 --log_dir logs/first
grep -q "making 4 scenes" node-0.log || fail "node 0 should have found no data"
grep -q "step 2/2" logs/first/rank-0.log || fail "rank 0 says nothing in logs/first"
[[ -f logs/first/rank-1.log && ! -e runs/pair/logs/rank-1.log ]] || fail "where is the output of rank 1?"
[[ "$(cat logs/first/node-0.exit logs/first/node-1.exit)" == $'0\n0' ]] || fail "exit codes"

# Two ranks each: nodes are named by their first rank. A config that they cannot go on with is everybody's error.
both 2 2 --wname pair --gpus 2 --max_steps 3 --set learning_rate.initial=0.5 --log_dir logs/second
[[ "$(cat logs/second/node-0.exit)" == 2 && -f logs/second/node-2.exit ]] || fail "exit codes of the second start"

# Without --log_dir rank 0 prints.
both 0 0 --wname pair --max_steps 3
grep -q "step 3/3" node-0.log || fail "rank 0 prints nothing"
[[ -f runs/pair/logs/rank-1.log ]] || fail "no log of rank 1"
