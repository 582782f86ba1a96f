#include "tools/reference_config/key_suggestion.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace cubist {
namespace {

TEST(KeySuggestionTest, NamesWhatMayBeMeant) {
  const std::vector<std::string> known = {"batch_size",
                                          "grad_clip",
                                          "frame_end_num",
                                          "supervision.semantic_weight",
                                          "train_kwargs.frame_end_num",
                                          "val_kwargs.frame_end_num",
                                          "renderer.target",
                                          "network.unet.target",
                                          "network.unet.params.f_maps"};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"batch_sise", "batch_size"},  // beside it
      {"supervision.semantik_weight", "supervision.semantic_weight"},
      {"network.unet.params.fmaps", "network.unet.params.f_maps"},
      {"suprevision.semantic_weight", "supervision.semantic_weight"},  // the section
      {"unet.params.f_maps", "network.unet.params.f_maps"},
      {"learning_rate.grad_clip", "grad_clip"},
      {"trian_kwargs.frame_end_num", "train_kwargs.frame_end_num"},  // the nearest of several
      {"movie.frame_end_num", ""},
      {"camera.target", ""},
      {"my_own_key", ""},
      {"supervision.own", ""},
  };
  for (const auto& [unknown, meant] : cases) EXPECT_EQ(SuggestKey(unknown, known), meant) << unknown;
  EXPECT_EQ(SuggestKey("batch_size", {}), "");
}

}  // namespace
}  // namespace cubist
