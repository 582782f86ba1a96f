"""linked_sources and linked_libraries: the sources of this repository that programs are linked from, and the static
libraries they are compiled into, as files for a test."""

_Parts = provider(fields = ["sources", "libraries"])

def _collect_impl(target, ctx):
    sources, libraries = [], []
    if target.label.workspace_name == "":
        for attribute in ["srcs", "hdrs"]:
            for file in getattr(ctx.rule.files, attribute, []):
                if file.is_source and file.extension in ["cc", "h", "cu", "cuh"]:
                    sources.append(file)
        if sources and CcInfo in target:
            for linked in target[CcInfo].linking_context.linker_inputs.to_list():
                if linked.owner == target.label:
                    for library in linked.libraries:
                        libraries.append(library.pic_static_library or library.static_library)
    below = [dep[_Parts] for dep in getattr(ctx.rule.attr, "deps", []) if _Parts in dep]
    return [_Parts(
        sources = depset(sources, transitive = [parts.sources for parts in below]),
        libraries = depset([file for file in libraries if file], transitive = [parts.libraries for parts in below]),
    )]

_collect = aspect(
    implementation = _collect_impl,
    attr_aspects = ["deps"],
)

def _files(ctx, files):
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

def _linked_sources_impl(ctx):
    return _files(ctx, depset(transitive = [program[_Parts].sources for program in ctx.attr.programs]))

def _linked_libraries_impl(ctx):
    return _files(ctx, depset(transitive = [program[_Parts].libraries for program in ctx.attr.programs]))

_PROGRAMS = {"programs": attr.label_list(aspects = [_collect], mandatory = True)}

linked_sources = rule(
    implementation = _linked_sources_impl,
    attrs = _PROGRAMS,
)

linked_libraries = rule(
    implementation = _linked_libraries_impl,
    attrs = _PROGRAMS,
)
