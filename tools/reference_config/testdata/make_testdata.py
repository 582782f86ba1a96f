#!/usr/bin/env python3
"""Makes the YAML fixtures of import_config and what OmegaConf makes of them.

Needs omegaconf. Run in this folder: python3 make_testdata.py

1. configs/: five configs with the keys and values of configs/testdata/reference_values.tsv, composed in a way of our
   own: what all share, what the reconstruction configs share, and the rest, with interpolations for values that the
   reference keeps in one place.
2. composition/*.yaml stay as they are; *.json beside them is what the reference's parser composes from them (its
   documented steps, with OmegaConf for each), every value with its type.
"""
import json
import pathlib

from omegaconf import OmegaConf

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE.parents[2] / "configs/testdata/reference_values.tsv"
NAMES = [
    "vae_64x64x64_height_down2_vs02_dense_residual",
    "diffusion_64x64x64_dense_vs02_map_cond",
    "gsm_vs02_res512_view1_voxel_branch_only_sky_panorama",
    "gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator",
    "gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator",
]
DEFAULTS = {"test_set_shuffle", "batch_size", "accumulate_grad_batches", "visualize", "name"}


def read_table():
    rows = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return [{row[0]: json.loads(row[i + 1]) for row in rows[1:] if row[i + 1] != "-"} for i in range(5)]


def yaml_text(tree, indent=""):
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", yaml_text(value, indent + "  ")]
        elif isinstance(value, str) and value.startswith("${"):
            lines.append(f"{indent}{key}: {value}")
        else:
            lines.append(f"{indent}{key}: {json.dumps(value)}")
    return "\n".join(lines)


def nested(flat):
    tree = {}
    for key, value in flat.items():
        *above, last = key.split(".")
        node = tree
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
    return tree


def interpolated(key, flat):
    """The root key that a key of these sections follows, if it has its value."""
    section, _, name = key.rpartition(".")
    if section not in ("train_kwargs", "val_kwargs", "test_kwargs", "network.scheduler", "supervision"):
        return None
    for root in (name, "_" + name):
        if root in flat and flat[root] == flat[key]:
            return "${" + root + "}"
    return None


def write(path, comment, includes, flat):
    text = f"# {comment}\n"
    if includes:
        text += "include_configs:\n" + "".join(f"  - {include}\n" for include in includes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + yaml_text(nested(flat)) + "\n")


def make_configs():
    configs = HERE / "configs"
    columns = [dict(column) for column in read_table()]
    for column in columns:
        whole = dict(column)
        for key in column:
            column[key] = interpolated(key, whole) or column[key]
    same = lambda chosen: {
        key: value for key, value in chosen[0].items() if all(key in c and c[key] == value for c in chosen)
    }
    common = {key: value for key, value in same(columns).items() if key not in DEFAULTS}
    shared = {key: value for key, value in same(columns[2:]).items() if key not in common and key not in DEFAULTS}
    write(configs / "default/param.yaml", "The weakest values.", [],
          {"test_set_shuffle": False, "batch_size": 1, "accumulate_grad_batches": 1, "visualize": False, "name": "--"})
    write(configs / "shared/every_model.yaml", "What all configs have in common.", [], common)
    write(configs / "shared/reconstruction.yaml", "What the reconstruction configs have in common.",
          ["every_model.yaml"], shared)
    for i, (name, column) in enumerate(zip(NAMES, columns)):
        below = {**common, **(shared if i >= 2 else {})}
        own = {key: value for key, value in column.items() if below.get(key, below) != value}
        include = "./shared/reconstruction.yaml" if i >= 2 else "shared/every_model.yaml"
        write(configs / f"{name}.yaml", "A config with the reference's keys and values.", [include], own)


def compose(path, above=None):
    config = OmegaConf.load(path)
    base = OmegaConf.create()
    if "include_configs" in config:
        includes = config["include_configs"]
        del config["include_configs"]
        for include in [includes] if isinstance(includes, str) else includes:
            base = compose(path.parent / include, base)
        config = OmegaConf.merge(base, config)
    if "assign" in config:
        overlay = config["assign"]
        del config["assign"]
        config = OmegaConf.merge(config, OmegaConf.from_dotlist([f"{k}={v}" for k, v in overlay.items()]))
    return OmegaConf.merge(OmegaConf.create() if above is None else above, config)


def typed(value):
    if isinstance(value, dict):
        return {str(key): typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return f"{type(value).__name__} {value}"


def resolve(path, defaults):
    above = OmegaConf.load(defaults) if defaults.exists() else OmegaConf.create()
    resolved = OmegaConf.to_container(compose(path, above), resolve=True)
    path.with_suffix(".json").write_text(json.dumps(typed(resolved), indent=1, sort_keys=True) + "\n")
    return resolved


def main():
    make_configs()
    table = read_table()
    for name, column in zip(NAMES, table):
        resolved = resolve(HERE / "configs" / f"{name}.yaml", HERE / "configs/default/param.yaml")
        for key, value in column.items():
            node = resolved
            for part in key.split("."):
                node = node[part]
            assert node == value, (name, key, node, value)
    for path in sorted((HERE / "composition").glob("*.yaml")):
        if not path.name.startswith("part_"):
            resolve(path, HERE / "composition/default/param.yaml")


if __name__ == "__main__":
    main()
