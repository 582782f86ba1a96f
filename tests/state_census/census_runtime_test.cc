// What census.txt calls saved is in a checkpoint, and what is in a checkpoint stands in census.txt.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include "base/file_ops.h"
#include "models/nn/layers.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/loop/optimizer_state.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {
namespace {

constexpr char kState[] = "training_state.pb";

// "optimizer" -> {"exp_avg", "step"}: what the brackets of `saved` rows name; "model" -> {} has no parts.
using Places = std::map<std::string, std::set<std::string>>;

Places PlacesOfCensus() {
  std::ifstream census(std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                       "/tests/state_census/census.txt");
  Places places;
  for (std::string line; std::getline(census, line);) {
    const size_t begin = line.find("  saved [");
    if (line.rfind("  ", 0) != 0 || begin == std::string::npos) continue;
    std::istringstream where(line.substr(begin + 9, line.find(']') - begin - 9));
    std::string group, part;
    std::getline(where, group, ':');
    std::set<std::string>& parts = places[group];
    while (std::getline(where >> std::ws, part, ',')) parts.insert(part);
  }
  return places;
}

// A checkpoint of an optimizer with everything switched on, and of a state with every field set.
class Saved {
 public:
  Saved() {
    FlatOptimizerOptions options;
    options.adamw.amsgrad = true;
    options.schedule.initial = 0.1;
    options.ema_decay = 0.9;
    Linear layer(3, 2);
    InitializeParameters(layer, 5);
    FlatOptimizer optimizer(layer.Parameters(), options, at::kDouble, at::kCPU);
    for (const std::string& group : optimizer.Groups()) groups.insert(group);

    CheckpointContents contents;
    const HostOptimizerState state = CopyOptimizer(optimizer, optimizer.Groups());
    contents.groups = state.groups;
    contents.state.set_step(1);
    SetAllFields(contents.state);
    const std::string folder = ::testing::TempDir() + "/census";
    std::filesystem::remove_all(folder);
    CheckpointStore store(SystemFileOps(), folder);
    const auto report = store.Save(contents);
    EXPECT_TRUE(report.ok()) << report.status();
    auto loaded = store.Load(1);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    checkpoint.emplace(*std::move(loaded));
    EXPECT_EQ(checkpoint->state().SerializeAsString(), contents.state.SerializeAsString());
  }

  std::optional<Checkpoint> checkpoint;
  std::set<std::string> groups;  // of the optimizer

 private:
  static void SetAllFields(checkpoint::TrainingState& state) {
    const google::protobuf::Reflection& reflection = *state.GetReflection();
    for (int i = 0; i < state.GetDescriptor()->field_count(); ++i) {
      const google::protobuf::FieldDescriptor* field = state.GetDescriptor()->field(i);
      using Field = google::protobuf::FieldDescriptor;
      if (field->is_map()) {
        google::protobuf::Message* entry = reflection.AddMessage(&state, field);
        const google::protobuf::Reflection& inside = *entry->GetReflection();
        inside.SetString(entry, field->message_type()->map_key(), "key");
        const Field* value = field->message_type()->map_value();
        if (value->cpp_type() == Field::CPPTYPE_DOUBLE) inside.SetDouble(entry, value, 1.5);
        if (value->cpp_type() == Field::CPPTYPE_INT64) inside.SetInt64(entry, value, 7);
        if (value->cpp_type() == Field::CPPTYPE_STRING) inside.SetString(entry, value, "text");
      } else if (field->name() != "step") {
        if (field->cpp_type() == Field::CPPTYPE_DOUBLE) reflection.SetDouble(&state, field, 2.5);
        if (field->cpp_type() == Field::CPPTYPE_INT64) reflection.SetInt64(&state, field, 7);
        if (field->cpp_type() == Field::CPPTYPE_UINT64) reflection.SetUInt64(&state, field, 7);
      }
    }
  }
};

TEST(CensusRuntimeTest, WhatIsCalledSavedIsInACheckpoint) {
  const Saved saved;
  const Places places = PlacesOfCensus();
  ASSERT_GE(places.size(), 4u) << "census.txt could not be read";
  for (const auto& [group, parts] : places) {
    if (group == kState) {
      const google::protobuf::Reflection& reflection = *saved.checkpoint->state().GetReflection();
      for (const std::string& part : parts) {
        const google::protobuf::FieldDescriptor* field = checkpoint::TrainingState::descriptor()->FindFieldByName(part);
        ASSERT_NE(field, nullptr) << "census.txt names the field " << part << ", which TrainingState does not have";
        EXPECT_TRUE(field->is_repeated() ? reflection.FieldSize(saved.checkpoint->state(), field) > 0
                                         : reflection.HasField(saved.checkpoint->state(), field))
            << part << " was set and is not in the checkpoint";
      }
      continue;
    }
    ASSERT_TRUE(saved.checkpoint->HasGroup(group)) << "census.txt names the group " << group;
    std::set<std::string> found;
    for (const CheckpointTensor& tensor : saved.checkpoint->Tensors(group)) {
      found.insert(tensor.name.substr(0, tensor.name.find('.')));
    }
    EXPECT_FALSE(found.empty()) << group;
    for (const std::string& part : parts) {
      EXPECT_EQ(found.count(part), 1u) << "census.txt names " << group << ": " << part
                                       << ", and no tensor of that group is called so";
    }
  }
}

TEST(CensusRuntimeTest, WhatIsInACheckpointStandsInTheCensus) {
  const Saved saved;
  Places places = PlacesOfCensus();
  for (int i = 0; i < checkpoint::TrainingState::descriptor()->field_count(); ++i) {
    const std::string& name = checkpoint::TrainingState::descriptor()->field(i)->name();
    EXPECT_EQ(places[kState].count(name), 1u) << "no row of census.txt says whose state TrainingState." << name
                                              << " is: add saved [" << kState << ": " << name << "]";
  }
  for (const std::string& group : saved.groups) {
    ASSERT_EQ(places.count(group), 1u) << "no row of census.txt says saved [" << group << "]";
    if (places[group].empty()) continue;
    for (const CheckpointTensor& tensor : saved.checkpoint->Tensors(group)) {
      const std::string part = tensor.name.substr(0, tensor.name.find('.'));
      EXPECT_EQ(places[group].count(part), 1u) << "no row of census.txt says saved [" << group << ": " << part << "]";
    }
  }
}

}  // namespace
}  // namespace cubist
