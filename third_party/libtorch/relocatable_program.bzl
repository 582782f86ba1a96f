"""relocatable_program: a program that links shared libraries, and looks for them in lib/ beside it first.

Bazel's own entry, which leads to its output folder, comes first in what it links, and this version has no way to put
another one before it. So the linked program's DT_RPATH is rewritten.
"""

def _relocatable_program_impl(ctx):
    linked = ctx.executable.binary
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        inputs = [linked],
        outputs = [program],
        command = """set -e
cp "$1" "$2" && chmod u+w "$2"
patchelf --force-rpath --set-rpath "\\$ORIGIN/lib:$(patchelf --print-rpath "$1" | sed 's,:$ORIGIN/lib$,,')" "$2"
""",
        arguments = [linked.path, program.path],
        mnemonic = "Relocate",
        progress_message = "Making %s relocatable" % program.short_path,
        use_default_shell_env = True,
    )
    runfiles = ctx.runfiles(files = [program]).merge(ctx.attr.binary[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = program, files = depset([program]), runfiles = runfiles)]

relocatable_program = rule(
    implementation = _relocatable_program_impl,
    attrs = {
        "binary": attr.label(
            mandatory = True,
            executable = True,
            cfg = "target",
            doc = "A cc_binary of the same package: the paths in its RPATH count from there.",
        ),
    },
    executable = True,
)
