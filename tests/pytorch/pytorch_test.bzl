"""pytorch_test: a Python unit test, NAME.py, with PyTorch."""

def pytorch_test(name, size, data = [], tags = []):
    native.sh_test(
        name = name,
        size = size,
        srcs = ["run.sh"],
        args = [name],
        data = data + native.glob(["*.py"]) + [
            "//tools/reference_config:testdata",
            "@libtorch//:shared_libraries",
            "@pytorch",
        ],
        tags = tags + ["manual", "pytorch"],
    )
