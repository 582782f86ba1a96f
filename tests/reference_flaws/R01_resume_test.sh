#!/bin/bash
# R1: the reference starts from scratch when it fails to find out what there is to resume. Here "nothing to resume" and
# "cannot tell" are two things, and the second ends the run with exit code 6; only the local disk is asked.
source "$(dirname "$0")/../end_to_end/harness.sh"

expect 0 "${train}" "${tiny}" --max_steps 4
log_says "step 4/4"

# Permissions stop nobody who is root, so the obstacles are of other kinds. $1: what it is; then a command that is
# run in a run folder of its own and leaves it so that nobody can tell.
cases=0
cannot_tell() {
  local what="$1"
  shift
  rm -rf run && cp -a runs/tiny run
  (cd run && "$@")
  before="$(cd run && find . -name lock -prune -o -type f -exec sha256sum {} + | sort)"
  expect 6 "${train}" "${tiny}" --run_dir run --max_steps 5
  log_says "run/checkpoints"
  if grep -qF "step 5/5" log; then fail "${what}: it trained"; fi
  after="$(cd run && find . -name lock -prune -o -type f -exec sha256sum {} + | sort)"
  [[ "${before}" == "${after}" ]] || fail "${what}: files of the run have changed"
  cases=$((cases + 1))
}
replace() { rm -rf "$1" && "${@:2}"; }
manifest=checkpoints/step-000000004/MANIFEST
cannot_tell "a file instead of the folder" replace checkpoints touch checkpoints
cannot_tell "a link to itself" replace checkpoints ln -s checkpoints checkpoints
cannot_tell "a link to nowhere" replace checkpoints ln -s nowhere checkpoints
cannot_tell "a checkpoint that is a file" replace checkpoints/step-000000004 touch checkpoints/step-000000004
cannot_tell "a checkpoint that is a link to itself" \
  replace checkpoints/step-000000004 ln -s step-000000004 checkpoints/step-000000004
cannot_tell "a manifest that is a folder" replace "${manifest}" mkdir "${manifest}"
cannot_tell "a manifest that is a link to itself" replace "${manifest}" ln -s MANIFEST "${manifest}"
cannot_tell "a manifest of nothing" replace "${manifest}" touch "${manifest}"

# Nothing to resume: a new run, and no network, W&B or other service was asked (tests have none).
expect 0 "${train}" "${tiny}" --wname new --max_steps 1
log_says "step 1/1"
# The same folder without an obstacle resumes.
rm -rf run && cp -a runs/tiny run
expect 0 "${train}" "${tiny}" --run_dir run --max_steps 5
log_says "resuming after step 4" "step 5/5"
echo "R1: ${cases} ways in which one cannot tell"
