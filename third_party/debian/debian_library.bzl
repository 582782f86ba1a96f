"""A repository over libraries that the distribution's -dev packages installed under /usr."""

def _debian_library_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = %r)\n" % ctx.name)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")
    ctx.symlink("/usr/lib/x86_64-linux-gnu", "lib")
    ctx.symlink("/usr/include", "include")
    ctx.symlink("/usr/bin", "bin")

    # The installed versions are an input of every target of this repository (a header of macros),
    # so that an upgrade of the package invalidates what the cache holds.
    result = ctx.execute(["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n"] + ctx.attr.packages)
    if result.return_code:
        fail("%s needs the Debian packages %s: run ./bazelw once, it installs them.\n%s" % (
            ctx.name,
            " ".join(ctx.attr.packages),
            result.stderr,
        ))
    ctx.file("versions.h", "".join(["// %s\n" % line for line in result.stdout.splitlines()]))

debian_library = repository_rule(
    implementation = _debian_library_impl,
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "packages": attr.string_list(mandatory = True, doc = "The packages that the repository looks at."),
    },
    # Looked at again each time the Bazel server starts: installed versions change outside of Bazel.
    local = True,
)
