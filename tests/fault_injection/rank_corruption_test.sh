#!/bin/bash
# A rank whose parameters change behind its back is found by the comparison of hashes, and named.
source "$(dirname "$0")/harness.sh"

readonly flags="--max_steps 8 --set validation.interval_steps=1000 --set batch.accumulate=1 --device cpu \
  --set training.rank_check_interval_steps=4"
CUBIST_TEST_DRAWS="${work}/draws" expect 0 "${train}" "${tiny}" --wname whole ${flags} --gpus 3
# On the way: three ranks share the draws of a step, none twice, none left out.
python3 -c "
taken = sorted(tuple(map(int, line.split()[:2])) for line in open('draws'))
assert taken == [(step, 3 * (step - 1) + i) for step in range(1, 9) for i in range(3)], taken"
expect 5 with_faults corrupt:6:1 "${train}" "${tiny}" --wname corrupt ${flags} --gpus 3
log_says "step 8" "rank 1" "model/"
[[ ! -e runs/corrupt/checkpoints/step-000000008 ]] || fail "the damage was saved"
