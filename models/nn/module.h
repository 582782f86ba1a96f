// A module: named parameters and named children, no more. Networks are plain structs of these.
//
// torch::nn::Module would do, at 15 s and 1.2 GB for every source that includes it.
#ifndef CUBIST_MODELS_NN_MODULE_H_
#define CUBIST_MODELS_NN_MODULE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cubist {

// How a parameter starts.
struct Initialization {
  enum class Kind { kConstant, kUniform, kNormal };
  Kind kind;
  double value;  // the constant; the bound a of uniform numbers in [-a, a); the standard deviation

  static Initialization Constant(double value) { return {Kind::kConstant, value}; }
  static Initialization Uniform(double bound) { return {Kind::kUniform, bound}; }
  static Initialization Normal(double deviation) { return {Kind::kNormal, deviation}; }
};

struct Parameter {
  std::string name;  // full name, as in a checkpoint: "unet.pre_conv.weight"
  at::Tensor value;  // a leaf that requires gradients; shares its identity with the module's member
  Initialization initialization;
};

// Modules register what they own in their constructors; the order of registration is the order of
// parameters in checkpoints and in flat storage. Modules are neither copied nor moved, because
// parents point at their children.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  // All parameters of this module and its children, in order of registration.
  std::vector<Parameter> Parameters() const;

 protected:
  // An uninitialised float32 CPU tensor of this shape; InitializeParameters() gives it values, the
  // optimizer its final storage and dtype. The returned handle stays the parameter.
  at::Tensor RegisterParameter(std::string name, at::IntArrayRef shape, Initialization initialization);
  // `child` is a member of the registering module, or outlives it.
  void RegisterModule(std::string name, const Module& child);

 private:
  void Collect(const std::string& prefix, std::vector<Parameter>& parameters) const;

  // Exactly one of the two is set: entries keep the order of registration.
  struct Entry {
    std::string name;
    const Module* child;
    Parameter parameter;
  };
  std::vector<Entry> entries_;
};

// Fills every parameter with numbers that depend on the seed and the parameter's name only, so that
// adding a module changes no other's start.
void InitializeParameters(const Module& module, uint32_t seed);

}  // namespace cubist

#endif  // CUBIST_MODELS_NN_MODULE_H_
