"""Writes checkpoint.ckpt beside this file: what PyTorch Lightning 1.9.4 saves of the reference's models, in small.

Run by hand, in a scratch environment, when it changes: python3 make_checkpoint_fixtures.py [OURS...]
It needs torch, numpy and omegaconf; nothing else in the project does. The values follow simple rules that the tests
state again in their own words. Files of ours that are named are read by torch.load, with weights_only both ways.
"""
import collections
import io
import pathlib
import sys

import numpy as np
import omegaconf
import torch

HERE = pathlib.Path(__file__).resolve().parent


def checkpoint():
    # fVDB's convolutions: (O, I, 3, 3, 3) over memory in the order [K2][K1][K0][I][O].
    out, in_ = 4, 2
    memory = torch.arange(27 * in_ * out, dtype=torch.float32)
    convolution = memory.reshape(3, 3, 3, in_, out).permute(4, 3, 2, 1, 0)
    assert convolution.stride() == (1, out, in_ * out, 3 * in_ * out, 9 * in_ * out)
    shared = torch.tensor([0.5, 1.5])
    state = collections.OrderedDict([
        ("unet.conv.weight", convolution),
        ("unet.norm.weight", torch.nn.Parameter(torch.tensor([1.0, 2.0]))),
        ("unet.norm.num_batches_tracked", torch.tensor(7)),
        ("unet_ema.num_updates", torch.tensor(9, dtype=torch.int32)),
        ("unet.tied.weight", shared),
        ("unet.tied.bias", shared),
        ("unet.slice", torch.arange(10, dtype=torch.int16)[2:9:3]),
        ("unet.expanded", torch.tensor([[1.0], [2.0]], dtype=torch.float16).expand(2, 3)),
        ("unet.half", torch.tensor([1.5, -2.0], dtype=torch.bfloat16)),
        ("scale_factor", torch.tensor(0.25, dtype=torch.float64)),
    ])
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("unet", {"version": 2})])
    config = omegaconf.OmegaConf.create({
        "batch_size": 2,
        "learning_rate": {"init": 1e-4, "clip": 1e-6},
        "root": "data/",
        "train_kwargs": {"root": "${root}", "frames": [15, 155], "ids": None},
        "network": "${learning_rate}",
        "use": True,
        "exec": None,
        "nothing": omegaconf.DictConfig(None),
    })
    moments = {name: torch.full((4, 2, 3, 3, 3), value).permute(0, 1, 4, 3, 2)
               for name, value in (("exp_avg", 0.5), ("exp_avg_sq", 0.25), ("max_exp_avg_sq", 0.125))}
    progress = {"total": {"ready": 3, "completed": 2, "started": 3, "processed": 2},
                "current": {"ready": 1, "completed": 1, "started": 1, "processed": 1}}
    return {
        "epoch": 3,
        "global_step": 6250,
        "pytorch-lightning_version": "1.9.4",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": progress,
                               "epoch_loop.batch_progress": {**progress, "is_last_batch": False}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_step', 'mode': 'max'}": {
            "monitor": "val_step", "best_model_score": torch.tensor(6249.0), "dirpath": "/runs/a",
            "best_k_models": {"/runs/a/last.ckpt": torch.tensor(6249.0)}, "kth_value": torch.tensor(6199.0)}},
        "optimizer_states": [{
            "state": {0: {"step": torch.tensor(6250.0), **moments}},
            "param_groups": [{"lr": 7e-5, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": True, "foreach": None,
                              "fused": None, "initial_lr": 1e-4, "params": [0, 1]}],
        }],
        "lr_schedulers": [{"base_lrs": [1e-4], "last_epoch": 6250, "verbose": False, "_last_lr": [7e-5],
                           "lr_lambdas": [{}]}],
        "hparams_name": "hparams",
        "hyper_parameters": config,
        "hparams_type": omegaconf.dictconfig.DictConfig,
        "numpy": [np.float64(1.5), np.float32(-0.5), np.int64(-3), np.uint8(200), np.bool_(True), np.int16(-300)],
        "shape": torch.Size([4, 2]),
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "long": int,
        "defaults": collections.defaultdict(dict, a={"b": 1}),
    }


def check_ours(path):
    def walk(ours, other):
        assert type(ours) is type(other), (ours, other)
        if isinstance(ours, dict):
            assert list(ours) == list(other)
            for key in ours:
                walk(ours[key], other[key])
        elif isinstance(ours, (list, tuple)):
            for a, b in zip(ours, other, strict=True):
                walk(a, b)
        elif isinstance(ours, torch.Tensor):
            assert ours.dtype == other.dtype and ours.shape == other.shape and ours.is_contiguous()
            assert torch.equal(ours.view(-1).view(torch.uint8), other.view(-1).view(torch.uint8))
        else:
            assert ours == other

    safe = torch.load(path, weights_only=True)
    walk(safe, torch.load(path, weights_only=False))
    walk(safe, torch.load(path, mmap=True))
    print(path, "is read")


buffer = io.BytesIO()  # as Lightning does: the root folder is "archive"
torch.save(checkpoint(), buffer)
(HERE / "checkpoint.ckpt").write_bytes(buffer.getvalue())
for path in sys.argv[1:]:
    check_ours(path)
