// The colours and textures of a scene's surfaces.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_SURFACE_LOOK_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_SURFACE_LOOK_H_

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "data_process/synthesis/ray_caster.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Colours are linear red, green, blue.
struct SurfaceLook {
  Eigen::Vector3f albedo = Eigen::Vector3f::Zero();  // part of the light that comes back, evenly to all sides
  Eigen::Vector3f glow = Eigen::Vector3f::Zero();    // light of its own
  float gloss = 0;                                   // part that is mirrored where one looks straight at it
  Eigen::Vector3d normal;                            // street frame, unit: the hit's, ruffled where there are leaves
};

class SurfaceLooks {
 public:
  // Colours are drawn by seed and clip, for each house, tree, object. `scene` outlives the looks.
  SurfaceLooks(const Scene& scene, uint32_t seed, uint64_t clip);

  // `footprint`: metres between neighbouring pixels there; patterns finer than that are left out.
  SurfaceLook At(const RayHit& hit, double footprint) const;

 private:
  enum class Pattern {
    kPlain,
    kRoad,
    kMark,
    kSlabs,
    kGrass,
    kGround,
    kFacade,
    kRoof,
    kLeaves,
    kBark,
    kMetal,
    kLamp,
    kTrafficLight,
    kSign,
    kCone,
    kCar,
    kVan,
  };
  struct Paint {
    Pattern pattern = Pattern::kPlain;
    Eigen::Vector3f colour = {0.3f, 0.3f, 0.3f};
    Eigen::Vector3f second = {0.3f, 0.3f, 0.3f};
    uint32_t seed = 0;
  };

  Paint SurfacePaint(const Primitive& primitive, uint32_t word);
  Paint ObjectPaint(const SceneObject& object, const Primitive& primitive, uint32_t word) const;
  void Facade(const Paint& paint, const Box& box, const RayHit& hit, double footprint, SurfaceLook& look) const;
  void Car(const MeshInstance& car, const RayHit& hit, SurfaceLook& look) const;
  void Van(const Paint& paint, const SceneObject& van, const Primitive& part, const RayHit& hit,
           SurfaceLook& look) const;
  void TrafficLight(const Box& box, const RayHit& hit, SurfaceLook& look) const;
  void Sign(const Paint& paint, const Box& box, const RayHit& hit, SurfaceLook& look) const;

  const Scene& scene_;
  const std::vector<ScenePart> parts_;
  std::vector<Paint> paints_;  // of each part
  uint32_t house_ = 0;         // the last wall's word: roofs and balconies that follow belong to it
  bool is_dark_ = false;       // lamps are lit, and some windows
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_SURFACE_LOOK_H_
