"""Holds docs/training_guide.md against the training guide of the reference.

Our guide has every command of the reference's, in its order, in blocks ```text that begin with `# InfiniCube`; and between such a
block and the next one our counterparts of its commands, with the same flags, or that they are not built yet.

Arguments: our guide, the runfiles folder of the workspace (not used).
"""
import re
import sys

from documented_commands import fenced_blocks

RECIPES = (
    "vae_64x64x64_height_down2_vs02_dense_residual",
    "diffusion_64x64x64_dense_vs02_map_cond",
    "gsm_vs02_res512_view1_voxel_branch_only_sky_panorama",
    "gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator",
)
FLAGS = "--gpus 8 --eval_interval 1 --wname {}"
THEIR_TRAIN = "python infinicube/voxelgen/train.py infinicube/voxelgen/configs/{0}.yaml " + FLAGS.format("{0}")
OUR_TRAIN = "configs/recipes/{0}.textproto " + FLAGS.format("{0}")
# Theirs, and how ours begins; None: it is not built yet.
MERGE = ("python infinicube/voxelgen/utils/model_merge_util.py", "./bazelw run //tools:merge_ckpt -- ")
METADATA = "--data_root data/ --input_attribute video_480p_front --output_attribute metadata.csv"
CAPTION = "infinicube/data_process/generate_caption.py"
COMMANDS = [
    ("wandb login", "export WANDB_API_KEY="),
    ('echo "export WANDB_API_KEY=<your_api_key>" >> ~/.bashrc', "export WANDB_API_KEY="),
    *((THEIR_TRAIN.format(recipe), "./bazelw run //tools:train -- " + OUR_TRAIN.format(recipe)) for recipe in RECIPES),
    MERGE,
    *((f"sh slurm/train-slurm.sh -n {nodes} -s 6006 -i 100 -c '{THEIR_TRAIN.format(recipe)}'",
       f"./bazelw run //tools:slurm_launch -- -n {nodes} -s 6006 -i 100 -c 'train {OUR_TRAIN.format(recipe)}")
      for recipe, nodes in zip(RECIPES, (2, 4, 2, 2))),
    MERGE,
    (f"python {CAPTION}", None),
    (f"torchrun --nproc_per_node=8 {CAPTION}", None),
    (f"torchrun --nproc_per_node=8 {CAPTION} -s 0,2", None),
    (f"torchrun --nproc_per_node=8 {CAPTION} -s 1,2", None),
    (f"python infinicube/data_process/generate_metadata_csv.py {METADATA}",
     f"./bazelw run //data_process:generate_metadata_csv -- {METADATA}"),
    ("sh train_wan_with_buffer.sh", None),
]


def main():
    with open(sys.argv[1]) as file:
        text = file.read()
    # The parts from one block of theirs to the next.
    _, *parts = re.split(r"^(?=```text$)", text, flags=re.MULTILINE)
    answers = []  # their commands, each with what our guide says to it
    for part in parts:
        (_, theirs), *ours = fenced_blocks(part)
        if theirs[0] != "# InfiniCube":
            sys.exit(f"a block ```text does not begin with '# InfiniCube': {theirs[0]}")
        own = [line for info, lines in ours if info == "sh" for line in lines]
        answers += [(command, own, "not built yet" in part.lower()) for command in theirs[1:] if not command.startswith("#")]
    for (expected, counterpart), (command, own, is_missing) in zip(COMMANDS, answers):
        if command != expected:
            sys.exit(f"the reference's guide goes on with\n  {expected}\nand ours has\n  {command}")
        if counterpart is None and not is_missing:
            sys.exit(f"nothing says that this is not built yet:\n  {command}")
        if counterpart is not None and not any(line.startswith(counterpart) for line in own):
            sys.exit(f"below\n  {command}\nstands no\n  {counterpart} ...")
    if len(answers) != len(COMMANDS):
        sys.exit(f"the reference's guide has {len(COMMANDS)} commands, and ours has {len(answers)} of them")
    print(f"{len(COMMANDS)} commands of the reference's guide, "
          f"{sum(ours is None for _, ours in COMMANDS)} of them not built yet")


main()
