#!/bin/bash
# R7, R8: the reference's merge has its inputs and output in its source, lists names through Python sets, so that its
# files differ from run to run, and takes the second of two values with a warning. Here they are flags, equal contents in
# any order give equal bytes, and a conflict is an error until a policy decides.
source "$(dirname "$0")/../end_to_end/harness.sh"
merge="${runfiles}/tools/merge_ckpt"

python3 - <<'PYTHON'
import json, random, struct

def write(path, tensors):
    """A safetensors file with these tensors of two floats, in this order."""
    header, data = {}, b""
    for name, values in tensors:
        header[name] = {"dtype": "F32", "shape": [2], "data_offsets": [len(data), len(data) + 8]}
        data += struct.pack("<2f", *values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)

def branch(encoder, backbone, seed):
    names = [f"img_encoder.encoders.{encoder}.{k}.weight" for k in range(40)]
    names += [f"backbone.{backbone}.{k}.weight" for k in range(40)]
    return [(name, (seed, k)) for k, name in enumerate(names)]

both = ("skybox.patch_embedder.bias", (3, 4))
voxel = branch("conv", "backbone_3d", 1) + [both]
pixel = branch("dav2", "backbone_2d", 2) + [both]
write("voxel.safetensors", voxel)
write("pixel.safetensors", pixel)
write("other.safetensors", pixel[:-1] + [(both[0], (3, 5))])
random.seed(8)
random.shuffle(voxel)
random.shuffle(pixel)
write("voxel_in_another_order.safetensors", voxel)
write("pixel_in_another_order.safetensors", pixel)
PYTHON

expect 0 "${merge}" --branch_3d voxel.safetensors --branch_2d pixel.safetensors --output first
expect 0 "${merge}" --branch_3d voxel_in_another_order.safetensors --branch_2d pixel_in_another_order.safetensors \
  --output second
cmp first.ckpt second.ckpt || fail "the order of names in the inputs is in the output"
cmp {first,second}/checkpoints/step-000000000/model.safetensors
[[ "$(grep -c '"from": "both"' first/merge_report.json)" == 1 ]] || fail "the report does not say what both have"

expect 3 "${merge}" --branch_3d voxel.safetensors --branch_2d other.safetensors --output third
log_says "skybox.patch_embedder.bias" "--on_conflict"
[[ ! -e third && ! -e third.ckpt ]] || fail "a merge that was refused leaves something"
for policy in prefer_2d prefer_3d; do
  expect 0 "${merge}" --branch_3d voxel.safetensors --branch_2d other.safetensors --output "${policy}" \
    --on_conflict "${policy}"
done
cmp first/checkpoints/step-000000000/model.safetensors prefer_3d/checkpoints/step-000000000/model.safetensors
! cmp -s first.ckpt prefer_2d.ckpt || fail "the policy changes nothing"

# As a file, and swapped by mistake.
printf 'branch_3d: "voxel.safetensors" branch_2d: "pixel.safetensors" output: "%s/fourth"' "${PWD}" >merge.textproto
expect 0 "${merge}" merge.textproto
cmp first.ckpt fourth.ckpt
expect 3 "${merge}" --branch_3d pixel.safetensors --branch_2d voxel.safetensors --output swapped
log_says "swapped"
expect 2 "${merge}" --branch_3d voxel.safetensors --output first
log_says "--branch_2d"
expect 2 "${merge}" merge.textproto
log_says "exists already"
expect 2 "${merge}" --on_conflict newest
log_says "--on_conflict" "prefer_2d"
echo "${commands} commands"
