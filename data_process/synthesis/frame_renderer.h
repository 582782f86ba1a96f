// Images of a scene through a pinhole camera, with depth, classes and instances that belong to them pixel by pixel.
//
// 1. A ray through each pixel meets the scene (ray_caster.h): that alone decides sky, depth, class and instance.
// 2. Its colour: the surface's look (surface_look.h) in sunlight with shadows, light of the sky and light that the
//    ground sends back; mirrored sky on glass and paint; haze by distance. Where nothing is met: the sky.
// 3. Pixels that differ much from a neighbour get the mean colour of four places within them.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_FRAME_RENDERER_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_FRAME_RENDERER_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <array>
#include <cstdint>
#include <vector>

#include "base/host_tensor.h"
#include "data_process/synthesis/ray_caster.h"
#include "data_process/synthesis/scene.h"
#include "data_process/synthesis/surface_look.h"

namespace cubist {

// Everything [H,W].
struct RenderedFrame {
  HostTensor image;      // uint8 [H,W,3] RGB; empty unless asked for
  HostTensor sky;        // bool: nothing is met
  HostTensor depth;      // uint16: z-depth in centimetres, rounded down; 0: nothing within 655.35 m
  HostTensor classes;    // uint8: semantic class; 0 where nothing is met
  HostTensor instances;  // uint16: number of the object of type car, as the reference's buffers; else 0
};

class FrameRenderer {
 public:
  // The front camera's image scaled to width x height pixels, each axis by its own factor. Pixel (u, v) looks along
  // ((u - cx) / fx, (v - cy) / fy, 1) in OpenCV axes. Looks are drawn by seed and clip. `scene` outlives the renderer.
  FrameRenderer(const Scene& scene, uint32_t seed, uint64_t clip, int width, int height);

  // The scene at a frame, 0 to scene.ego.size() - 1. Rows are rendered in parallel; the result does not depend on the
  // number of threads. Not from several threads at once.
  RenderedFrame Render(int frame, bool with_image);

 private:
  // The ray's direction is 1 long along the optical axis.
  Ray RayThrough(double u, double v) const;
  Eigen::Vector3f ColourOf(const Ray& ray, const RayHit& hit) const;
  // The sky in a direction of length 1, with or without separate clouds.
  Eigen::Vector3f Sky(const Eigen::Vector3d& direction, bool with_clouds) const;
  Eigen::Vector3f ColourAlong(const Ray& ray) const;
  std::array<uint8_t, 3> Developed(const Eigen::Vector3f& colour) const;
  void RenderRow(int row, bool with_image, RenderedFrame& frame) const;
  void SmoothRow(int row, const HostTensor& first, HostTensor& image) const;

  const Scene& scene_;
  const int width_, height_;
  std::array<double, 6> intrinsics_;
  RayCaster caster_;
  SurfaceLooks looks_;
  Eigen::Isometry3d camera_ = Eigen::Isometry3d::Identity();  // FLU axes, to the street frame
  std::vector<float> curve_;                                  // display brightness by the root of light
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_FRAME_RENDERER_H_
