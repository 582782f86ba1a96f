"""What a bundle for cluster nodes holds: see bundle_sources.h. A new program is a new line here."""

BUNDLED_PROGRAMS = [
    "//data_process:generate_metadata_csv",
    "//data_process:inspect",
    "//data_process:synthesize_scenes",
    "//third_party/wandb:wandb-core",
    "//third_party/wandb:wandb-symon",
    "//tools:checkpoint",
    "//tools:import_config",
    "//tools:merge_ckpt",
    "//tools:slurm_launch",
    "//tools:train",
    "//tools:train_worker",
    "//tools:wandb_sync",
]

def bundle_data(own = None):
    """The `data` of a program that makes bundles.

    Args:
      own: the program itself if it is bundled too: no target can be its own data.
    """
    return [program for program in BUNDLED_PROGRAMS if program != own] + [
        "//:LICENSE",
        "//:LICENSE.wandb",
        "//:NOTICE",
        "//configs:textprotos",
    ]
