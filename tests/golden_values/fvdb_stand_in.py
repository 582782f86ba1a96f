"""A stand-in for the parts of fvdb 0.2.0 and fvdb.nn that the reference's voxel VAE calls, in double on the CPU.

Written from the operations' definitions, shares no code with Cubist's kernels: every lookup goes through a dense volume
of row numbers over the grid's bounding box. install() makes `import fvdb` find it.

Axes of a 3x3x3 weight [Cout, Cin, K0, K1, K2], as fvdb 0.2.0 has them: K0 along k (z), K1 along j (y), K2 along i (x),
no flip. Rows of a grid are in NanoVDB's tree order.
"""
import math
import sys
import types

import torch
import torch.nn.functional as F
from torch import nn


class JaggedTensor:
    """Rows [N, ...] of several samples, one after the other."""

    def __init__(self, data, offsets=None):
        if offsets is None:
            offsets = [0]
            for part in data:
                offsets.append(offsets[-1] + len(part))
            data = torch.cat(list(data))
        self.jdata, self.offsets = data, offsets

    def __getitem__(self, sample):
        return self._like(self.jdata[self.offsets[sample]:self.offsets[sample + 1]],
                          [0, self.offsets[sample + 1] - self.offsets[sample]])

    def __add__(self, other):
        return self._like(self.jdata + other.jdata)

    def float(self):
        return self._like(self.jdata.double())

    def jagged_like(self, data):
        return self._like(data)

    def _like(self, data, offsets=None):
        return JaggedTensor(data, self.offsets if offsets is None else offsets)


def _tree_order(rows):
    """The order of (sample, i, j, k) in NanoVDB trees: root tile, upper child, lower child, voxel; x, y, z in each."""
    ijk = rows[:, 1:]
    digits = [rows[:, :1], ijk >> 12, (ijk >> 7) & 31, (ijk >> 3) & 15, ijk & 7]
    order = torch.arange(len(rows))
    for column in reversed(torch.cat(digits, 1).unbind(1)):
        order = order[torch.sort(column[order], stable=True).indices]
    return order


class GridBatch:
    """Voxels (sample, i, j, k), int64 [N, 4], in tree order; cell size and the centre of cell (0, 0, 0) in metres."""

    def __init__(self, rows, grid_count, size, origin):
        rows = torch.unique(rows, dim=0)
        self.rows = rows[_tree_order(rows)]
        self.grid_count = grid_count
        self.size, self.origin = [list(map(float, values)) for values in (size, origin)]
        counts = torch.bincount(self.rows[:, 0], minlength=grid_count)
        self.num_voxels = counts
        self._offsets = [0] + counts.cumsum(0).tolist()
        self._taps = None
        # One empty cell all around, so that neighbours need no bounds.
        ijk = self.rows[:, 1:] if len(self.rows) else torch.zeros(1, 3, dtype=torch.long)
        self._first = ijk.min(0).values - 1
        self._volume = torch.full((grid_count, *(ijk.max(0).values + 2 - self._first).tolist()), -1)
        self._volume[tuple(self._cell(self.rows).T)] = torch.arange(len(self.rows))

    total_voxels = property(lambda self: len(self.rows))
    ijk = property(lambda self: self.jagged_like(self.rows[:, 1:]))
    voxel_sizes = property(lambda self: torch.tensor([self.size] * self.grid_count))
    origins = property(lambda self: torch.tensor([self.origin] * self.grid_count))

    def _cell(self, rows):
        return torch.cat([rows[:, :1], rows[:, 1:] - self._first], 1)

    def find(self, rows):
        """The row, in the whole batch, of each (sample, i, j, k), or -1."""
        cell = self._cell(rows)
        inside = ((cell >= 0) & (cell < torch.tensor(self._volume.shape))).all(1)
        found = torch.full((len(rows),), -1)
        found[inside] = self._volume[tuple(cell[inside].T)]
        return found

    def neighbors(self):
        """[27, N]: rows of the cells at (dx, dy, dz), dz fastest."""
        if self._taps is None:
            b, i, j, k = self._cell(self.rows).unbind(1)
            self._taps = torch.stack([self._volume[b, i + dx, j + dy, k + dz]
                                      for dx in (-1, 0, 1) for dy in (-1, 0, 1) for dz in (-1, 0, 1)])
        return self._taps

    def jagged_like(self, data):
        return JaggedTensor(data, self._offsets)

    def to(self, device):
        return self

    def grid_to_world(self, ijk):
        scale = torch.tensor(self.size)
        return ijk.jagged_like(ijk.jdata * scale + torch.tensor(self.origin))

    def ijk_to_index(self, ijk):
        """Inside the sample's own grid, as fvdb has it; the VAE's losses look at -1 alone."""
        samples = torch.repeat_interleave(torch.arange(self.grid_count), torch.tensor(ijk.offsets).diff())
        found = self.find(torch.cat([samples[:, None], ijk.jdata], 1))
        return ijk.jagged_like(torch.where(found < 0, found, found - torch.tensor(self._offsets)[samples]))

    def _coarsened(self, factor):
        rows = self.rows.clone()
        rows[:, 1:] = torch.div(rows[:, 1:], torch.tensor(factor), rounding_mode="floor")
        size = [w * f for w, f in zip(self.size, factor)]
        origin = [o + (f - 1) * w / 2 for o, f, w in zip(self.origin, factor, self.size)]
        return GridBatch(rows, self.grid_count, size, origin)

    def coarsened_grid(self, factor):
        return self._coarsened([int(f) for f in factor])

    def children(self, factor):
        """[N, f0 * f1 * f2, 4]: the cells that each voxel is divided into, the first factor's axis outermost."""
        offsets = torch.cartesian_prod(*[torch.arange(f) for f in factor])
        ijk = (self.rows[:, None, 1:] * torch.tensor(factor)) + offsets
        return torch.cat([self.rows[:, None, :1].expand(-1, len(offsets), -1), ijk], 2)

    def fill_from_grid(self, data, source, default):
        found = source.find(self.rows)
        return self.jagged_like(torch.where((found >= 0)[:, None], data.jdata[found.clamp(min=0)], default))


class VDBTensor:
    def __init__(self, grid, data, kmap=None):
        self.grid, self.data, self.kmap = grid, data, kmap

    device = property(lambda self: self.data.jdata.device)

    def __add__(self, other):
        return VDBTensor(self.grid, self.data + other.data)


class _Convolution(torch.autograd.Function):
    """y[p] = sum over taps of x[neighbor(p, tap)] W[tap]; keeps x and no gathered rows. taps: [27, Cin, Cout]."""

    @staticmethod
    def forward(context, x, taps, neighbors):
        context.save_for_backward(x, taps, neighbors)
        y = x.new_zeros(len(x), taps.shape[2])
        for weight, sources in zip(taps, neighbors):
            at = (sources >= 0).nonzero()[:, 0]
            y[at] += x[sources[at]] @ weight
        return y

    @staticmethod
    def backward(context, dy):
        x, taps, neighbors = context.saved_tensors
        dx, dtaps = torch.zeros_like(x), torch.zeros_like(taps)
        for tap, sources in enumerate(neighbors):
            at = (sources >= 0).nonzero()[:, 0]
            dx[sources[at]] += dy[at] @ taps[tap].T  # a row is the neighbour of one row only, per tap
            dtaps[tap] = x[sources[at]].T @ dy[at]
        return dx, dtaps, None


class SparseConv3d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, bias=True):
        super().__init__()
        assert kernel_size in (1, 3) and stride == 1
        shape = (out_channels, in_channels) + (3, 3, 3) * (kernel_size == 3)
        self.weight = nn.Parameter(torch.zeros(shape))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def forward(self, input):
        x, grid = input.data.jdata, input.grid
        if self.weight.dim() == 2:
            y = x @ self.weight.T
        else:
            taps = self.weight.permute(4, 3, 2, 1, 0).reshape(27, self.weight.shape[1], self.weight.shape[0])
            y = _Convolution.apply(x, taps, grid.neighbors())
        return VDBTensor(grid, grid.jagged_like(y if self.bias is None else y + self.bias))


class GroupNorm(nn.Module):
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        assert affine
        self.num_groups, self.eps = num_groups, eps
        self.weight, self.bias = nn.Parameter(torch.ones(num_channels)), nn.Parameter(torch.zeros(num_channels))

    def forward(self, input):
        samples = [input.data[b].jdata for b in range(input.grid.grid_count)]
        normed = [F.group_norm(x.T[None], self.num_groups, self.weight, self.bias, self.eps)[0].T if len(x) else x
                  for x in samples]
        return VDBTensor(input.grid, input.grid.jagged_like(torch.cat(normed)))


class SiLU(nn.Module):
    def __init__(self, inplace=False):
        super().__init__()

    def forward(self, input):
        return VDBTensor(input.grid, input.data.jagged_like(F.silu(input.data.jdata)))


class MaxPool(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.factor = list(kernel_size)

    def forward(self, input, coarse_grid=None):
        assert coarse_grid is None
        coarse = input.grid.coarsened_grid(self.factor)
        children = coarse.children(self.factor)
        found = input.grid.find(children.reshape(-1, 4)).reshape(children.shape[:2])
        values = torch.where((found >= 0)[:, :, None], input.data.jdata[found.clamp(min=0)], -math.inf)
        return VDBTensor(coarse, coarse.jagged_like(values.gather(1, values.argmax(1, keepdim=True))[:, 0]))


class UpsamplingNearest(nn.Module):
    def __init__(self, scale_factor):
        super().__init__()
        self.factor = [scale_factor] * 3 if isinstance(scale_factor, int) else list(scale_factor)

    def forward(self, input, mask):
        grid, kept = input.grid, mask.jdata.nonzero()[:, 0]
        children = grid.children(self.factor)[kept].reshape(-1, 4)
        size = [w / f for w, f in zip(grid.size, self.factor)]
        origin = [o - (f - 1) * w / 2 for o, f, w in zip(grid.origin, self.factor, size)]
        fine = GridBatch(children, grid.grid_count, size, origin)
        parent = torch.empty(len(children), dtype=torch.long)
        parent[fine.find(children)] = kept.repeat_interleave(math.prod(self.factor))
        return VDBTensor(fine, fine.jagged_like(input.data.jdata[parent]))


def gridbatch_from_dense(num_grids, dense_dims, ijk_min, device, voxel_sizes, origins):
    cells = torch.cartesian_prod(torch.arange(num_grids),
                                 *[torch.arange(first, first + count) for first, count in zip(ijk_min, dense_dims)])
    return GridBatch(cells, num_grids, voxel_sizes.tolist(), origins.tolist())


def gridbatch_from_ijk(samples, size, origin):
    """From a list of int [M, 3], one a sample."""
    rows = [F.pad(ijk.long(), (1, 0), value=b) for b, ijk in enumerate(samples)]
    return GridBatch(torch.cat(rows), len(samples), size, origin)


def install():
    torch.set_default_dtype(torch.float64)
    fvdb, fvdb_nn = types.ModuleType("fvdb"), types.ModuleType("fvdb.nn")
    for name in ("JaggedTensor", "GridBatch", "gridbatch_from_dense"):
        setattr(fvdb, name, globals()[name])
    for name in ("VDBTensor", "SparseConv3d", "GroupNorm", "SiLU", "MaxPool", "UpsamplingNearest"):
        setattr(fvdb_nn, name, globals()[name])
    fvdb.nn = fvdb_nn
    sys.modules["fvdb"], sys.modules["fvdb.nn"] = fvdb, fvdb_nn
