#!/bin/bash
# Recipes whose model is not built yet: the twins resolve, make their scenes and load batches with --dry_run, which says
# that the model is missing; to train one is refused before anything is made.
source "$(dirname "$0")/harness.sh"
configs="${runfiles}/configs"

for twin in diffusion reconstruction_3d reconstruction_2d reconstruction_dual; do
  echo "${twin}"
  config="${configs}/quickstart/${twin}.textproto"
  model=gaussian_reconstruction
  [[ "${twin}" == diffusion ]] && model=voxel_diffusion

  expect 2 "${train}" "${config}"
  log_says "train: this version of Cubist cannot train ${model} yet, only voxel_vae; the config has no mistake, and --dry_run"
  expect 2 "${train}" "${config}" --preflight
  log_says "cannot train ${model} yet"
  [[ ! -e runs && ! -e data ]] || fail "a refused run made something"

  expect 2 "${train}" "${config}" --dry_run
  log_says "training batch" "validation batch" " voxels" "  frames      training reads " \
    "train: config and data have no mistake, but this version of Cubist cannot train ${model} yet, only voxel_vae (exit code 2)"
  [[ ! -e runs && ! -e data ]] || fail "a dry run left something"
done
log_says "2 images of 104 x 60 as input, 2 images of 104 x 60 as supervision"

echo "The full recipes load, too, in their own sizes."
# load_recipe NAME FRAMES TEXT...: its batches of synthetic clips with so many frames say these.
load_recipe() {
  local recipe="$1" frames="$2"
  shift 2
  echo "${recipe}"
  expect 2 "${train}" "${configs}/recipes/${recipe}.textproto" --dry_run --set data.frame_end="${frames}" \
    --set "data.synthesize={ clips: 2 frames: ${frames} }" --set data.frame_start=0 --set data.validation_start_frame=0
  log_says "training batch" "validation batch" "$@"
  [[ "$(grep -c '^train: ' log)" == 2 ]] || fail "more than the scenes and the end is said"
  grep -qx "train: config and data have no mistake, but this version of Cubist cannot train .* (exit code 2)" log || fail "no end"
}
load_recipe gsm_vs02_res512_view1_voxel_branch_only_sky_panorama 41 \
  "4 images of 832 x 480 as input, 9 images of 832 x 480 as supervision"
load_recipe diffusion_64x64x64_dense_vs02_map_cond 1
load_recipe gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator 11 \
  "1 image of 832 x 480 as input, 5 images of 832 x 480 as supervision"
load_recipe gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator 41 \
  "4 images of 832 x 480 as input, 9 images of 832 x 480 as supervision"

echo "The full recipes' configs are good."
for recipe in diffusion_64x64x64_dense_vs02_map_cond gsm_vs02_res512_view1_voxel_branch_only_sky_panorama \
  gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator; do
  expect 0 "${train}" "${configs}/recipes/${recipe}.textproto" --print_config
  log_says "name: \"${recipe}\""
  expect 2 "${train}" "${configs}/recipes/${recipe}.textproto" --set logging.logger_type=NONE
  log_says "cannot train"
done
echo "${commands} runs"
