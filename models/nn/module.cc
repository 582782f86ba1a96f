#include "models/nn/module.h"

#include <ATen/ops/empty.h>

#include "kernels/random_normal/random_normal_torch.h"

namespace cubist {
namespace {

// FNV-1a, 64 bits: a stable number for a name.
uint64_t NameHash(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace

at::Tensor Module::RegisterParameter(std::string name, at::IntArrayRef shape, Initialization initialization) {
  at::Tensor value = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  value.requires_grad_(true);
  entries_.push_back({name, nullptr, {name, value, initialization}});
  return value;
}

void Module::RegisterModule(std::string name, const Module& child) {
  entries_.push_back({std::move(name), &child, {{}, {}, Initialization::Constant(0)}});
}

std::vector<Parameter> Module::Parameters() const {
  std::vector<Parameter> parameters;
  Collect("", parameters);
  return parameters;
}

void Module::Collect(const std::string& prefix, std::vector<Parameter>& parameters) const {
  for (const Entry& entry : entries_) {
    if (entry.child != nullptr) {
      entry.child->Collect(prefix + entry.name + ".", parameters);
    } else {
      parameters.push_back(entry.parameter);
      parameters.back().name = prefix + entry.name;
    }
  }
}

void InitializeParameters(const Module& module, uint32_t seed) {
  for (const Parameter& parameter : module.Parameters()) {
    at::Tensor value = parameter.value.detach();
    switch (parameter.initialization.kind) {
      case Initialization::Kind::kConstant:
        value.fill_(parameter.initialization.value);
        break;
      case Initialization::Kind::kUniform:
        FillUniform(value, seed, NameHash(parameter.name), parameter.initialization.value);
        break;
      case Initialization::Kind::kNormal:
        FillNormal(value, seed, NameHash(parameter.name), parameter.initialization.value);
        break;
    }
  }
}

}  // namespace cubist
