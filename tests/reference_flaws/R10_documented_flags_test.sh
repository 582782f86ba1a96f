#!/bin/bash
# R10: the reference documents flags that its programs do not have. Every flag that our documentation names is one of
# its program's --help. (That every documented command line runs: //tests/documentation.)
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
cd "${runfiles}"
python3 - README.md CONTRIBUTING.md docs/*.md <<'PYTHON'
import re, subprocess, sys

programs = {"train": "tools/train", "import_config": "tools/import_config", "checkpoint": "tools/checkpoint",
            "merge_ckpt": "tools/merge_ckpt", "bundle": "tools/bundle", "slurm_launch": "tools/slurm_launch",
            "wandb_sync": "tools/wandb_sync",
            **{name: f"data_process/{name}" for name in ("synthesize_scenes", "inspect", "generate_metadata_csv")}}
subcommands = {"slurm_launch": ("status", "logs", "cancel")}


def flags_of(name, path):
    helps = [[path, "--help"]] + [[path, command, "--help"] for command in subcommands.get(name, ())]
    return set(re.findall(r"--[a-z][a-z_]*", "".join(subprocess.check_output(help, text=True) for help in helps)))


flags = {name: flags_of(name, path) for name, path in programs.items()}
ours = set().union(*flags.values())
named = wrong = 0
for document in sys.argv[1:]:
    theirs = False  # in a block of commands of the reference
    for number, line in enumerate(open(document), 1):
        theirs = line.startswith("```text") or theirs and not line.startswith("```")
        if theirs:
            continue
        # Flags of other programs: those of bazel, up to the "--" that ends them, and of whatever a `command` starts with.
        command = re.search(r"\./bazelw run (?:--config=\w+ )?//[\w/]*:(\w+)(?: -- (.*))?", line)
        text, allowed = line, ours
        if command:
            # What slurm_launch is given to run is train's.
            text = re.sub(r"-c 'train [^']*'", "", command.group(2) or "")
            allowed = flags.get(command.group(1), ours)
        text = re.sub(r"`(?:tensorboard|sha256sum|train\.py|\./bazelw|\.ci/run|clang-format|bazel) [^`]*`|^\s*\./bazelw (?!run).*", "", text)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z_-]*", text):
            named += 1
            if flag not in allowed:
                wrong += 1
                print(f"{document}:{number}: {flag} is no flag of {command.group(1) if command else 'any program'}")
print(f"R10: {named} flags named in {len(sys.argv) - 1} documents")
sys.exit(wrong > 0 or named < 20)
PYTHON
