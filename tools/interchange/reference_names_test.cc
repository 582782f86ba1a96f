#include "tools/interchange/reference_names.h"

#include <gtest/gtest.h>

namespace cubist {
namespace {

using Names = std::vector<std::string>;

TEST(ReferenceNames, Models) {
  EXPECT_EQ(ModelOfNames({"encoder.mix_fc.weight", "unet.pre_kl_bottleneck.pre_kl_bottleneck_gn.module.bias"}),
            ReferenceModel::kVoxelVae);
  EXPECT_EQ(ModelOfNames({"vae.encoder.mix_fc.weight", "unet.time_embed.0.weight"}), ReferenceModel::kVoxelDiffusion);
  EXPECT_EQ(ModelOfNames({"skybox.sky_query", "backbone.backbone_2d.linear_out.bias"}),
            ReferenceModel::kGaussianReconstruction);
  EXPECT_EQ(ModelOfNames({"conv1.weight"}), ReferenceModel::kOther);
}

TEST(ReferenceNames, Averages) {
  const auto names = EmaNames({"scale_factor", "vae.unet.pre_conv.weight", "unet.input_blocks.10.in_layers.0.weight"});
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(*names, (std::map<std::string, std::string>{
                        {"unet_ema.input_blocks10in_layers0weight", "unet.input_blocks.10.in_layers.0.weight"}}));
  // R13: the reference would write one over the other.
  EXPECT_FALSE(EmaNames({"unet.a.b1", "unet.ab.1"}).ok());
}

TEST(ReferenceNames, OptimizerOrder) {
  const Names vae = {"encoder.mix_fc.weight", "unet.pre_kl_bottleneck.x", "unet.pre_conv.weight"};
  EXPECT_EQ(*OptimizerOrder(vae, 3), vae);
  EXPECT_FALSE(OptimizerOrder(vae, 4).ok());
  EXPECT_FALSE(OptimizerOrder(vae, 2).ok());
  // Buffers have no number. The sky is registered before the backbone, and handed over after the loss.
  const Names reconstruction = {"img_encoder.encoders.conv.a.weight", "img_encoder.encoders.conv.a.running_var",
                                "img_encoder.encoders.conv.a.num_batches_tracked", "skybox.sky_query",
                                "backbone.backbone_2d.w"};
  EXPECT_EQ(*OptimizerOrder(reconstruction, 5),
            (Names{"img_encoder.encoders.conv.a.weight", "backbone.backbone_2d.w", "", "", "skybox.sky_query"}));
  EXPECT_EQ(*OptimizerOrder(reconstruction, 3),
            (Names{"img_encoder.encoders.conv.a.weight", "backbone.backbone_2d.w", "skybox.sky_query"}));
}

}  // namespace
}  // namespace cubist
