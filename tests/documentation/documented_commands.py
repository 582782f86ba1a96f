"""Runs every fenced command of a document from a test's runfiles.

Blocks ```sh hold our commands, one a line; every line is one of these:
`./bazelw run //x:y -- ARGUMENTS` runs that program with those arguments, and `out/bundle/y ARGUMENTS` one of the bundle that a
line above it has made. So that it takes minutes and no cluster, training stops after a few steps, slurm_launch only says what it
would submit, and a bundle is made without LibTorch.
`NAME=VALUE` may stand before it. `export WANDB_API_KEY=KEY` is not done: the test has none.
`./bazelw test ...` is left to .ci/run, which compares it with its own command.
A comment at a line's end says what it needs and a test has not:
  # needs a GPU                the program only checks flags and config, and prints the config
  # needs data, # needs a submitted run, # needs trained branches, # needs a key
                               the program finds no fault with the flags, and ends because it misses that
  # needs clang, # needs the reference
                               it is not run
Blocks ```textproto begin with `# NAME.textproto`, where they are written to. Blocks ```text are commands of others: they are not
run. Any other line or block is an error.

Arguments: the document, the runfiles folder of the workspace. Works in the current folder.
"""
import os
import re
import shlex
import subprocess
import sys

NOT_RUN = ("clang", "the reference")
# Exit code, and what is said.
MISSES = {
    "a submitted run": (2, "there is no run that slurm_launch submitted in "),
    "a key": (2, "there is no key for Weights & Biases"),
    "data": (3, "cannot list the folder of the videos"),
    "trained branches": (2, ": there is no such run, checkpoint or file"),
}


def fenced_blocks(text):
    """The fenced blocks of a Markdown text: what stands behind the opening fence, and the lines that are not empty."""
    for info, body in re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield info, [line.strip() for line in body.splitlines() if line.strip()]


def for_test(program, arguments, need):
    """The arguments that the test gives in the place of the documented ones."""
    if need == "a GPU":
        return arguments + ["--print_config"]
    if program == "bundle":
        return [argument for argument in arguments if argument != "--libtorch"]
    if program == "slurm_launch" and arguments[0] not in ("status", "logs", "cancel") and "--dry_run" not in arguments:
        return arguments + ["--dry_run"]
    if program == "train" and "--print_config" not in arguments and "--explain" not in arguments:
        if "--max_steps" in arguments:
            at = arguments.index("--max_steps")
            arguments = arguments[:at] + arguments[at + 2:]
        return arguments + ["--max_steps", "2"]
    return arguments


class Document:
    def __init__(self, path, runfiles):
        self._path = path
        self._runfiles = runfiles
        self._environment = dict(os.environ, BUILD_WORKING_DIRECTORY=os.getcwd())
        self._ran = 0

    def check(self):
        with open(self._path) as file:
            text = file.read()
        if re.search(r"@[A-Z_]+@", text):
            self._stop("a number is missing where a placeholder stands")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            if not os.path.exists(os.path.join(os.path.dirname(self._path), target)):
                self._stop(f"a link leads nowhere: {target}")
        for info, lines in fenced_blocks(text):
            if info == "sh":
                for line in lines:
                    self._check_line(line)
            elif info == "textproto":
                self._write_file(lines)
            elif info != "text":
                self._stop(f"a fenced block of a kind that no test knows: ```{info}")
        if self._ran < 5:
            self._stop(f"only {self._ran} commands were found")

    def _stop(self, what):
        sys.exit(f"{os.path.basename(self._path)}: {what}")

    def _write_file(self, lines):
        name = re.fullmatch(r"# (\w+\.textproto)", lines[0])
        if not name:
            self._stop(f"a textproto does not begin with the name of its file: {lines[0]}")
        with open(name.group(1), "w") as file:
            file.write("\n".join(lines) + "\n")

    def _check_line(self, line):
        if line.startswith("./bazelw test ") or line == "export WANDB_API_KEY=KEY":
            return
        command, _, need = line.partition("  # needs ")
        settings, command = re.fullmatch(r"((?:\w+=\w+ )*)(.*)", command).groups()
        if need in NOT_RUN:
            return
        match = re.fullmatch(r"\./bazelw run //([\w/]*):(\w+) -- (.*)", command)
        bundled = re.fullmatch(r"(out/bundle)/(\w+) (.*)", command)
        if not (match or bundled) or need not in ("", "a GPU", *MISSES):
            self._stop(f"a fenced line that no test knows how to check: {line}")
        folder, program, arguments = (match or bundled).groups()
        path = os.path.join(self._runfiles if match else os.getcwd(), folder, program)
        environment = dict(self._environment, **dict(setting.split("=") for setting in settings.split()))
        self._run(line, environment, [path] + for_test(program, shlex.split(arguments), need), *MISSES.get(need, (0, "")))
        self._ran += 1

    def _run(self, line, environment, command, code, words):
        print("running:", line, flush=True)
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != code or words not in result.stdout:
            self._stop(f"{line}\nended with exit code {result.returncode}:\n{result.stdout}")


if __name__ == "__main__":
    Document(*sys.argv[1:]).check()
