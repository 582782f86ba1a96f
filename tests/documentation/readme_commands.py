"""Runs every fenced command of a README from a test's runfiles.

`./bazelw run //x:y -- ARGUMENTS` runs that program with those arguments; training stops after a few steps.
`./bazelw test ...` is left to .ci/run, which compares it with its own command.
A line that ends in `# needs a GPU` is only parsed: its program checks flags and config, and prints the config.
A line that ends in `# needs clang` builds a fuzzer, one in `# needs the reference` reads a checkout of it, one in `# needs
trained branches` what takes days to make: these are not run.
Any other line is an error.

Arguments: the README, the runfiles folder of the workspace. Works in the current folder.
"""
import os
import re
import shlex
import subprocess
import sys


def fenced_lines(text):
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced and line.strip():
            yield line.strip()


def main():
    readme, runfiles = sys.argv[1:]
    environment = dict(os.environ, BUILD_WORKING_DIRECTORY=os.getcwd())
    text = open(readme).read()
    if re.search(r"@[A-Z_]+@", text):
        sys.exit("README: a number is missing where a placeholder stands")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        if not os.path.exists(os.path.join(os.path.dirname(readme), target)):
            sys.exit(f"README: a link leads nowhere: {target}")
    ran = 0
    for line in fenced_lines(text):
        if line.startswith("./bazelw test ") or line.endswith(("# needs clang", "# needs the reference", "# needs trained branches")):
            continue
        match = re.fullmatch(r"\./bazelw run //([\w/]*):(\w+) -- (.*?)(\s+# needs a GPU)?", line)
        if not match:
            sys.exit(f"README: a fenced line that no test knows how to check: {line}")
        package, program, arguments, needs_gpu = match.groups()
        command = [os.path.join(runfiles, package, program)] + shlex.split(arguments)
        informs = "--print_config" in command or "--explain" in command
        if needs_gpu:
            command.append("--print_config")
        elif program == "train" and not informs:
            if "--max_steps" in command:
                at = command.index("--max_steps")
                del command[at:at + 2]
            command += ["--max_steps", "2"]
        print("running:", line, flush=True)
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            sys.exit(f"{line}\nended with exit code {result.returncode}:\n{result.stdout}")
        ran += 1
    if ran < 5:
        sys.exit(f"README: only {ran} commands were found")


main()
