#!/bin/bash
# R10: the reference documents flags that its programs do not have. Every flag that our documentation names is one of
# its program's --help. (That every documented command line runs: //tests/documentation:readme_test.)
set -euo pipefail
runfiles="${RUNFILES_DIR:-${TEST_SRCDIR}}/cubist"
cd "${runfiles}"
python3 - README.md CONTRIBUTING.md docs/*.md <<'PYTHON'
import re, subprocess, sys

programs = {"train": "tools/train", "import_config": "tools/import_config", "checkpoint": "tools/checkpoint",
            "merge_ckpt": "tools/merge_ckpt",
            **{name: f"data_process/{name}" for name in ("synthesize_scenes", "inspect", "generate_metadata_csv")}}
flags = {name: set(re.findall(r"--[a-z][a-z_]*", subprocess.check_output([path, "--help"], text=True)))
         for name, path in programs.items()}
ours = set().union(*flags.values())
named = wrong = 0
for document in sys.argv[1:]:
    for number, line in enumerate(open(document), 1):
        # Flags of other programs: those of bazel, up to the "--" that ends them, and of whatever a `command` starts with.
        command = re.search(r"\./bazelw run (?:--config=\w+ )?//[\w/]*:(\w+)(?: -- (.*))?", line)
        text, allowed = line, ours
        if command:
            text, allowed = command.group(2) or "", flags.get(command.group(1), ours)
        text = re.sub(r"`(?:tensorboard|\./bazelw|\.ci/run|clang-format|bazel) [^`]*`|^\s*\./bazelw (?!run).*", "", text)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z_-]*", text):
            named += 1
            if flag not in allowed:
                wrong += 1
                print(f"{document}:{number}: {flag} is no flag of {command.group(1) if command else 'any program'}")
print(f"R10: {named} flags named in {len(sys.argv) - 1} documents")
sys.exit(wrong > 0 or named < 20)
PYTHON
