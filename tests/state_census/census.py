"""Holds what can carry state from one step of a run to the next against census.txt, whose top says what stands in it.

  python3 tests/state_census/census.py [--root DIR] [--census FILE]

Prints what is not registered, what is registered and gone, and lines that say what is not so; exit code 1 then.
`--root`: a checkout, or a test's runfiles; default: the checkout that this file stands in.
"""
import argparse
import collections
import os
import re
import sys

import cpp_state

# Where every data member counts: what the loop changes lives here. Elsewhere it is what outlives a call (statics), and
# what changes behind a const (mutable members and closures).
MEMBER_FOLDERS = ("data_process/scenes", "models", "tools/tasks", "tools/training/checkpoint",
                  "tools/training/communicator", "tools/training/logging", "tools/training/loop",
                  "tools/training/optimizer")
FOLDERS = ("base", "configs", "data_process", "kernels", "models", "tools")
KINDS = ("saved", "derived", "telemetry", "within_step", "cache")
WHOLE = ("plain data", "fixed after construction")

HELP = """What is not registered can hold state between two steps. If a resumed run needs its value, save it: in TrainingState, or
in a group of FlatOptimizer::Groups(). Then say in tests/state_census/census.txt, whose top explains the kinds, what becomes
of it; the lines to add stand below each."""

Row = collections.namedtuple("Row", "path scope name kind where line")
Group = collections.namedtuple("Group", "path scope whole line")


def is_production(path):
    name = os.path.basename(path)
    return (name.endswith((".h", ".cc")) and not re.search(r"_(test|bench)\.cc$|(^|_)test(ing)?_|_test_util|_testing\.h", name)
            and "/testing/" not in path)


def sources(root):
    """Paths below the root, sorted."""
    for folder in FOLDERS:
        for place, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                path = os.path.relpath(os.path.join(place, name), root)
                if is_production(path):
                    yield path


def read_sources(root):
    states, classes = [], {}
    for path in sorted(sources(root)):
        with open(os.path.join(root, path)) as source:
            parsed = cpp_state.parse(path, source.read())
        classes.update({(path, found.scope): found for found in parsed.classes})
        states += [state for state in parsed.states if not state.is_const and
                   (state.kind != "member" or path.startswith(tuple(folder + "/" for folder in MEMBER_FOLDERS)))]
    return states, classes


def read_census(path):
    """Rows and groups of the table, and what is wrong with its form."""
    rows, groups, problems, group = [], {}, [], None
    with open(path) as census:
        for number, line in enumerate(census, 1):
            place = f"{os.path.basename(path)}:{number}"
            if not line.strip() or line.startswith("#"):
                continue
            header = re.fullmatch(r"(?:class|struct|function|variables)(?: (\S+(?:, \S+)*))? in (\S+?)(?:: (.+))?\n?", line)
            row = re.fullmatch(r"  (\w[^ ,]*(?: lambda)?(?:, \w+)*)  +(\w+)(?: \[(.+?)\])?  *(\S.*)\n?", line)
            if header:
                scopes, source, whole = header.groups()
                if whole is not None and whole not in WHOLE:
                    problems.append(f"{place}: after the colon stands one of: {', '.join(WHOLE)}")
                for scope in (scopes or "").split(", "):
                    group = Group(source, scope, whole, place)
                    if (source, scope) in groups:
                        problems.append(f"{place}: {scope or source} has a group already")
                    groups[source, scope] = group
            elif row and group is not None and row.group(2) in KINDS:
                names, kind, where, _ = row.groups()
                if (kind == "saved") != (where is not None):
                    problems.append(f"{place}: saved rows, and only they, say where: saved [group or training_state.pb: field]")
                rows += [Row(group.path, group.scope, name, kind, where, place) for name in names.split(", ")]
            else:
                problems.append(f"{place}: neither a group nor a row 'member  kind  reason' with a kind of {', '.join(KINDS)}")
    return rows, groups, problems


def compare(states, classes, rows, groups):
    problems = []
    registered = {(row.path, row.scope, row.name): row for row in rows}
    used, used_groups, missing = set(), set(), {}
    for state in states:
        key, group = (state.path, state.scope, state.name), groups.get((state.path, state.scope))
        if group is not None:
            used_groups.add((state.path, state.scope))
        covered = group is not None and state.kind == "member" and (
            group.whole == "plain data" or (group.whole == "fixed after construction" and not state.handle))
        if key in registered:
            used.add(key)
        elif not covered:
            missing.setdefault((state.path, state.scope), []).append(state)
    for (path, scope), unregistered in missing.items():
        names = ", ".join(state.name for state in unregistered)
        kind = "variables" if not scope else f"function {scope}" if scope.endswith("()") else f"class {scope}"
        found = classes.get((path, scope))
        whole = ""
        if found is not None and not found.mutators:
            whole = f"\nor, as no method changes it: {kind} in {path}: {WHOLE[0] if found.data else WHOLE[1]}"
        problems.append(f"{path}:{unregistered[0].line}: not registered: {scope + '::' if scope else ''}{names}\n"
                        f"{kind} in {path}\n  {names}  KIND  why{whole}")
    for key, row in sorted(registered.items()):
        if key not in used:
            problems.append(f"{row.line}: {row.path} has no {row.scope}::{row.name} that can change: take it out")
    for key, group in sorted(groups.items()):
        found = classes.get(key)
        if key not in used_groups:
            problems.append(f"{group.line}: {group.path} has nothing of '{group.scope}' that can change: take the line out")
        elif group.whole == "plain data" and found.mutators:
            problems.append(f"{group.line}: {group.scope} is no plain data: {', '.join(found.mutators)} may change it; "
                            f"give each member its row")
        elif group.whole == "fixed after construction" and (found.mutators or found.data):
            problems.append(f"{group.line}: {group.scope} is not fixed after construction: "
                            f"{', '.join(found.mutators + found.data)} may change it; give each member its row")
    return problems


def check(root, census):
    """What is wrong, a paragraph each, and how many things were looked at."""
    states, classes = read_sources(root)
    rows, groups, problems = read_census(census)
    return problems + compare(states, classes, rows, groups), len(states)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    arguments.add_argument("--census", default=os.path.join(here, "census.txt"))
    options = arguments.parse_args()
    problems, count = check(options.root, options.census)
    if problems:
        print(HELP)
    for problem in problems:
        print(problem)
    print(f"{count} members and variables that can change; {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
