"""Stand-ins for the reference's checkpoints: what Lightning 1.9.4 writes for each recipe, written by real PyTorch.

Names, order, shapes and the pickled objects are the reference's; values are random numbers of a seed. Two sizes:
"real" has the recipes' shapes, large tensors as one element that is repeated by strides of 0; "small" has narrower
layers, whose every element is a number of its own and whose sparse convolutions are the reference's permuted views.
"""
import collections
import contextlib
import os
import random
import zlib

from omegaconf import DictConfig, OmegaConf
import torch

import layouts

CONFIGS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                       "tools/reference_config/testdata/configs")
STEP, EPOCH = 6250, 7
DENSE_ELEMENTS = 4096  # a "real" tensor of more elements is one element, repeated

Model = collections.namedtuple("Model", "config layout small small_keys added optimizer_order learning_rate")


def is_trained(name, kind):
    return kind in layouts.KINDS_TRAINED and not name.startswith(("vae.", "img_encoder.encoders.dav2.model."))


def in_order(*prefixes):
    """Orders names by the first prefix that they begin with; among equals they stay as they are."""
    return lambda name: next(i for i, prefix in enumerate(prefixes) if name.startswith(prefix))


RECONSTRUCTION_ADDED = {
    "keep_surface_voxel": False, "use_high_res_grid_for_alpha_mask": False, "skybox_type": "panorama_full",
    "with_render_branch": True, "pixel_loss": "l1", "gt_alpha_from": "grid",
}
LPIPS = "loss."  # 46 parameters that are in the optimizer but not in the file

# small_keys: the hyper-parameters that go with the narrower layers. added: what constructors add to the config.
MODELS = {
    "vae": Model(
        config="vae_64x64x64_height_down2_vs02_dense_residual",
        layout=layouts.voxel_vae,
        small={"f_maps": 8, "embedding": 4, "cut_ratio": 4},
        small_keys={"network.unet.params.f_maps": 8, "network.unet.params.in_channels": 4,
                    "network.encoder.c_dim": 4, "dim_semantic": 4, "cut_ratio": 4},
        added={"voxel_size": [0.2, 0.2, 0.2], "pretrained_weight": None, "use_input_color": False,
               "with_color_branch": False, "supervision.color_weight": 0, "with_normal_branch": False,
               "with_semantic_branch": True, "supervision.adaptive_structure_weight": False},
        optimizer_order=in_order("encoder.", "unet."),
        learning_rate=7e-5),
    "diffusion": Model(
        config="diffusion_64x64x64_dense_vs02_map_cond",
        layout=layouts.voxel_diffusion,
        small={"channels": 32, "f_maps": 8, "embedding": 4, "cut_ratio": 4},
        small_keys={"network.diffuser.model_channels": 32, "dim_semantic": 4},
        added={"log_image": True, "use_pos_embed_high": False, "use_pos_embed_world": False,
               "use_pos_embed_world_high": False, "use_noise_offset": False, "classifier_free_prob": 0.1,
               "pretrained_model_name_or_path": None, "ignore_mismatched_size": False,
               "finetune_vae_decoder": False},
        optimizer_order=in_order("vae.", "unet."),
        learning_rate=5e-5),
    "reconstruction_3d": Model(
        config="gsm_vs02_res512_view1_voxel_branch_only_sky_panorama",
        layout=layouts.reconstruction_3d,
        small={"f_maps": 8, "image": (2, 4, 8)},
        small_keys={**{f"backbone.params.backbone_3d_params.{key}": 8 for key in (
                        "f_maps", "f_maps_2d", "in_channels", "lifter_params.img_in_dim",
                        "lifter_params.voxel_out_dim")},
                    "encoder.conv_params.n_filter_list": [3, 2, 4, 8],
                    "encoder.conv_params.conv_encoder_out_dim": 8, "skybox_in_dim": 8},
        added={**RECONSTRUCTION_ADDED, "use_sup_depth": False},
        optimizer_order=in_order("img_encoder.", "backbone.", LPIPS, "skybox."),
        learning_rate=1e-4),
    "reconstruction_2d": Model(
        config="gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator",
        layout=layouts.reconstruction_2d,
        small={"hidden": 16, "fusion": 16, "dim": 4, "sky": 8},
        small_keys={"encoder.dav2_params.out_dim_list": [8, 4],
                    **{f"backbone.params.backbone_2d_params.unet2d_params.{key}": value for key, value in (
                        ("channels", 8), ("init_dim", 4), ("dim", 4))},
                    "skybox_mlp_modulator.embed_dim": 8, "skybox_mlp_modulator.hidden_channels": 8,
                    "skybox_mlp_modulator.transformer.dim_feedforward": 16},
        added={**RECONSTRUCTION_ADDED, "skybox_resolution": 1024, "use_sup_depth": True},
        optimizer_order=in_order("img_encoder.", "backbone.", LPIPS, "skybox."),
        learning_rate=1e-4),
}


def layout_of(model, size):
    return MODELS[model].layout(**(MODELS[model].small if size == "small" else {}))


def float_tensor(name, shape, kind, size, seed):
    """Numbers of the seed and the name, not negative where squares or variances stand; float32."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    draw = torch.rand if "exp_avg_sq" in name or name.endswith("running_var") else torch.randn
    if size == "real" and torch.Size(shape).numel() > DENSE_ELEMENTS:
        return draw(1, generator=generator).expand(shape)
    if kind == layouts.SPARSE_WEIGHT:
        outputs, inputs, *kernel = shape
        return draw(*reversed(kernel), inputs, outputs, generator=generator).permute(4, 3, 2, 1, 0)
    return draw(shape, generator=generator)


def state_dict(model, size, seed=0):
    """name -> tensor, in the reference's order, with the module versions that nn.Module.state_dict adds."""
    result, versions = collections.OrderedDict(), {"": {"version": 1}}
    for name, shape, kind in layout_of(model, size):
        if kind == layouts.COUNT:
            result[name] = torch.tensor(4 * STEP)
        elif kind == layouts.UPDATES:
            result[name] = torch.tensor(4 * STEP, dtype=torch.int32)
        elif name == "unet_ema.decay":
            result[name] = torch.tensor(0.9999)
        else:
            result[name] = float_tensor(name, shape, kind, size, seed)
        parts = name.split(".")[:-1]
        for depth in range(len(parts)):
            versions.setdefault(".".join(parts[:depth + 1]), {"version": 1})
        if kind == layouts.COUNT:
            versions[".".join(parts)]["version"] = 2
    result._metadata = collections.OrderedDict(sorted(versions.items()))
    return result


def optimizer_state(model, size, seed=0):
    """AdamW with AMSGrad: state by index, only for what ever had a gradient."""
    found = MODELS[model]
    parameters = [tensor for tensor in layout_of(model, size) if tensor.kind in layouts.KINDS_TRAINED]
    if model.startswith("reconstruction"):
        parameters += [layouts.Tensor(f"{LPIPS}{index}", (), layouts.WEIGHT) for index in range(46)]
    parameters.sort(key=lambda tensor: found.optimizer_order(tensor.name))
    state = {}
    for index, (name, shape, kind) in enumerate(parameters):
        unused = name.startswith((LPIPS, "backbone.backbone_3d.struct_convs."))
        if not unused and is_trained(name, kind):
            state[index] = {"step": torch.tensor(float(STEP))}
            for moment in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
                state[index][moment] = float_tensor(f"{moment} {name}", shape, kind, size, seed)
    group = {
        "lr": found.learning_rate, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": True,
        "foreach": None, "maximize": False, "capturable": False, "differentiable": False, "fused": None,
        "initial_lr": hyper_parameters(model, size).learning_rate.init, "params": list(range(len(parameters))),
    }
    return {"state": state, "param_groups": [group]}


def compose(path):
    """A config with its includes, as the reference composes it: later ones win, the file itself wins over all."""
    config = OmegaConf.load(path)
    result = OmegaConf.create()
    for include in config.pop("include_configs", []):
        result = OmegaConf.merge(result, compose(os.path.join(os.path.dirname(path), include)))
    return OmegaConf.merge(result, config)


def hyper_parameters(model, size):
    """The config with interpolations as they are written, and what the constructors add."""
    found = MODELS[model]
    config = OmegaConf.merge(OmegaConf.load(os.path.join(CONFIGS, "default/param.yaml")),
                             compose(os.path.join(CONFIGS, found.config + ".yaml")), {"exec": None, "include": None})
    for key, value in {**found.added, **(found.small_keys if size == "small" else {})}.items():
        OmegaConf.update(config, key, value, force_add=True)
    return config


def progress(done, *more):
    return {part: {key: count for key in ("ready", "completed") + more}
            for part, count in (("total", done), ("current", done % 1000))}


def loops():
    """The counters of Lightning's loops after STEP steps of 4 batches each."""
    batches = progress(4 * STEP, "started", "processed")
    nothing = progress(0, "started", "processed")
    optimizer_loop = "epoch_loop.batch_loop.optimizer_loop."

    def evaluation(prefix, epoch_batches):
        return {prefix + "state_dict": {}, prefix + "dataloader_progress": progress(0),
                prefix + "epoch_loop.state_dict": {}, prefix + "epoch_loop.batch_progress": epoch_batches}

    fit = {
        "state_dict": {}, "epoch_loop.state_dict": {"_batches_that_stepped": STEP},
        "epoch_loop.batch_progress": {**batches, "is_last_batch": False},
        "epoch_loop.scheduler_progress": progress(STEP),
        "epoch_loop.batch_loop.state_dict": {}, optimizer_loop + "state_dict": {},
        optimizer_loop + "optim_progress": {
            "optimizer": {"step": progress(STEP), "zero_grad": progress(STEP, "started")}, "optimizer_position": 1},
        "epoch_loop.batch_loop.manual_loop.state_dict": {},
        "epoch_loop.batch_loop.manual_loop.optim_step_progress": progress(0),
        **evaluation("epoch_loop.val_loop.", {**nothing, "is_last_batch": True}),
        "epoch_progress": progress(EPOCH, "started", "processed"),
    }
    return {"fit_loop": fit, "validate_loop": evaluation("", {**nothing, "is_last_batch": False}),
            "test_loop": evaluation("", {**nothing, "is_last_batch": False}),
            "predict_loop": evaluation("", dict(nothing))}


def callbacks():
    folder = "wandb/infinicube-release/a1b2c3d4/checkpoints"
    newest, older = torch.tensor(STEP - 1.0), torch.tensor(STEP - 51.0)
    paths = [f"{folder}/epoch={EPOCH:06d}-step={step:09d}.ckpt" for step in (STEP - 50, STEP)]
    key = str({"monitor": "val_step", "mode": "max", "every_n_train_steps": 50, "every_n_epochs": 0,
               "train_time_interval": None})
    return {"ModelCheckpoint" + key: {
        "monitor": "val_step", "best_model_score": newest, "best_model_path": paths[1], "current_score": newest,
        "dirpath": folder, "best_k_models": {paths[0]: older, paths[1]: newest}, "kth_best_model_path": paths[0],
        "kth_value": older, "last_model_path": f"{folder}/last.ckpt"}}


def checkpoint(model, size, seed=0):
    """All that Lightning 1.9.4 puts into the file, in its order."""
    rate = MODELS[model].learning_rate
    config = hyper_parameters(model, size)
    return {
        "epoch": EPOCH,
        "global_step": STEP,
        "pytorch-lightning_version": "1.9.4",
        "state_dict": state_dict(model, size, seed),
        "loops": loops(),
        "callbacks": callbacks(),
        "optimizer_states": [optimizer_state(model, size, seed)],
        "lr_schedulers": [{
            "base_lrs": [config.learning_rate.init], "last_epoch": STEP, "verbose": False, "_step_count": STEP + 1,
            "_get_lr_called_within_step": False, "_last_lr": [rate], "lr_lambdas": [{}]}],
        "hparams_name": "hparams",
        "hyper_parameters": config,
        "hparams_type": DictConfig,
    }


@contextlib.contextmanager
def as_if_on_a_gpu(content):
    """Within it torch.save notes "cuda:0" where a tensor was, but for the optimizer's step counters."""
    on_cpu = {state["step"].untyped_storage().data_ptr()
              for optimizer in content.get("optimizer_states", []) for state in optimizer["state"].values()}

    def tag(storage):
        return "cpu" if storage.data_ptr() in on_cpu else "cuda:0"

    torch.serialization.register_package(0, tag, lambda storage, location: None)
    try:
        yield
    finally:
        registry = torch.serialization._package_registry
        registry[:] = [entry for entry in registry if entry[1] is not tag]


def write(path, model, size, seed=0):
    """A checkpoint file as Lightning writes it; returns what is in it."""
    content = checkpoint(model, size, seed)
    with as_if_on_a_gpu(content), open(path, "wb") as file:  # to a file object: the zip's root is "archive"
        torch.save(content, file)
    return content


def write_merged(path, size, seed=0):
    """What the reference's merge of both branches leaves: weights alone, in any order; returns what is in it."""
    tensors = {**state_dict("reconstruction_3d", size, seed), **state_dict("reconstruction_2d", size, seed)}
    names = list(tensors)
    random.Random(seed).shuffle(names)
    content = {"state_dict": collections.OrderedDict((name, tensors[name]) for name in names)}
    with as_if_on_a_gpu(content):
        torch.save(content, path)  # to a path: the zip's root is the file's stem
    return content
