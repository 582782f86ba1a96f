"""Times spconv's submanifold 3x3x3 convolution on the grids that level_grids wrote.

spconv_benchmark.py FOLDER [--runs N]: reads FOLDER/E0.i32 ..., prints a table and a line of JSON a measurement. Needs a
GPU, PyTorch and spconv 2.3.8. Each convolution is checked before it is timed; the exit code is 1 if one is wrong.

Conventions are those of kernels/cuda/benchmark.cc: CUDA events, the median of N runs after three that are not counted,
each after 256 MiB were overwritten, here FLUSHES times: some 5 ms, in which Python launches the whole run, so that what is
measured is the device's time alone. With its map each run waits for the device: that column holds Python's time too.
"""
import argparse
import json
import pathlib
import statistics
import sys

import torch

# Level, channels in and out: the convolutions of the VAE, and the equal-channel ones that measured.md compares.
SHAPES = [
    ("E0", 32, 32), ("E0", 32, 64), ("E0", 64, 64), ("E0", 128, 128),
    ("E1", 64, 64), ("E1", 64, 128), ("E1", 128, 128),
    ("E2", 64, 64), ("E2", 128, 128), ("E2", 128, 256),
    ("D1", 256, 128), ("D1", 64, 64), ("D1", 128, 128),
    ("D0", 128, 64), ("D0", 64, 64), ("D0", 128, 128),
]
FLUSHED_BYTES = 1 << 28
FLUSHES = 64
CHECKED_ROWS = 4096
WORST_ERROR = 1e-2  # fp16, whatever it sums up in


def read_level(path, device):
    """int32 [N, 4] (sample, i, j, k), moved so that no coordinate is negative; and the extent."""
    rows = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.int32).view(-1, 4)
    rows[:, 1:] -= rows[:, 1:].min(0).values
    return rows.to(device), (rows[:, 1:].max(0).values + 1).tolist()


def neighbors_of(rows, extent):
    """int64 [27, N]: the row at offset (di, dj, dk), k fastest, or -1."""
    padded = [size + 2 for size in extent]
    volume = torch.full((int(rows[:, 0].max()) + 1, *padded), -1, dtype=torch.int64, device=rows.device)
    b, i, j, k = rows.long().unbind(1)
    volume[b, i + 1, j + 1, k + 1] = torch.arange(len(rows), device=rows.device)
    return torch.stack([volume[b, i + di, j + dj, k + dk] for di in range(3) for dj in range(3) for dk in range(3)])


def relative_error(x, weight, neighbors, y):
    """Of CHECKED_ROWS rows of y, against sums in double. weight: [Cout, 3, 3, 3, Cin], spconv's order."""
    generator = torch.Generator().manual_seed(1)
    checked = torch.randint(neighbors.shape[1], (CHECKED_ROWS,), generator=generator).to(x.device)
    taps = weight.double().reshape(weight.shape[0], 27, -1)
    expected = torch.zeros(CHECKED_ROWS, weight.shape[0], dtype=torch.float64, device=x.device)
    for tap, source in enumerate(neighbors[:, checked]):
        gathered = x.double()[source.clamp(min=0)] * (source >= 0).unsqueeze(1)
        expected += gathered @ taps[:, tap].T
    return float((y.double()[checked] - expected).norm() / expected.norm())


def median_milliseconds(run, runs):
    flushed = torch.empty(FLUSHED_BYTES, dtype=torch.uint8, device="cuda")
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for i in range(-3, runs):
        for _ in range(FLUSHES):
            flushed.zero_()
        begin.record()
        run()
        end.record()
        end.synchronize()
        if i >= 0:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def measure(level, rows, extent, neighbors, c_in, c_out, runs, card):
    import spconv.pytorch as spconv

    torch.manual_seed(0)
    features = torch.randn(len(rows), c_in, device="cuda").half().requires_grad_(True)
    convolution = spconv.SubMConv3d(c_in, c_out, 3, padding=1, bias=False, indice_key="level").cuda().half()
    batch_size = int(rows[:, 0].max()) + 1
    y = convolution(spconv.SparseConvTensor(features, rows, extent, batch_size))
    grid = y.replace_feature(features)  # the same voxels with the kernel map, under the convolution's indice_key
    assert "level" in grid.indice_dict
    error = relative_error(features.detach(), convolution.weight.detach(), neighbors, y.features.detach())
    dy = torch.randn_like(y.features)

    def cached():
        return convolution(grid)

    def with_map():
        return convolution(spconv.SparseConvTensor(features, rows, extent, batch_size))

    def and_backward(forward):
        def run():
            features.grad = convolution.weight.grad = None
            forward().features.backward(dy)
        return run

    operations = 2.0 * int((neighbors >= 0).sum()) * c_in * c_out
    times, records = {}, []
    for name, run, passes in [("forward", cached, 1), ("forward and backward", and_backward(cached), 3),
                              ("forward with map", with_map, 1),
                              ("forward and backward with map", and_backward(with_map), 3)]:
        with torch.set_grad_enabled(passes == 3):
            times[name] = median_milliseconds(run, runs)
        records.append({"program": "spconv_benchmark", "card": card, "operation": f"spconv SubMConv3d {name}",
                        "algorithm": str(convolution.algo), "shape": f"{level} {len(rows)} x {c_in} -> {c_out} fp16",
                        "milliseconds": round(times[name], 6), "operations": passes * operations,
                        "relative_error": error})
    print(f"{level:5} {len(rows):7} {c_in:4} {c_out:4}" + "".join(f"{time:9.4f}" for time in times.values()) +
          f" {operations / times['forward'] * 1e-9:7.1f} {error:8.1e}", flush=True)
    return records


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    card = torch.cuda.get_device_name()
    print(f"spconv on {card}, torch {torch.__version__}; milliseconds, fp16; 'fb': forward and backward")
    print("level  voxels   in  out  forward       fb  fwd+map   fb+map TFLOP/s    error")
    records, read = [], {}
    for level, c_in, c_out in SHAPES:
        if level not in read:
            rows, extent = read_level(arguments.folder / f"{level}.i32", "cuda")
            read[level] = (rows, extent, neighbors_of(rows, extent))
        records += measure(level, *read[level], c_in, c_out, arguments.runs, card)
    for record in records:
        print(json.dumps(record))
    wrong = [record["shape"] for record in records if not record["relative_error"] < WORST_ERROR]
    if wrong:
        print(f"wrong results: {sorted(set(wrong))}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
