// The light and the air of a clip: what its images show and its caption says.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_WEATHER_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_WEATHER_H_

#include <Eigen/Core>
#include <string>

#include "data_process/synthesis/random_stream.h"

namespace cubist {

enum class SkyKind { kClear, kPartlyCloudy, kOvercast, kFoggy, kAfterRain };
inline constexpr int kSkyKinds = 5;
enum class Daytime { kMorning, kMidday, kAfternoon, kEvening, kDusk };
inline constexpr int kDaytimes = 5;

// Colours are linear red, green, blue; 1 is a bright sky.
struct Weather {
  SkyKind sky;
  Daytime daytime;
  Eigen::Vector3d to_sun;    // unit, street frame; below the horizon at dusk
  Eigen::Vector3f sunlight;  // on a surface that faces the sun; zero: there is none, and no shadows
  Eigen::Vector3f zenith, horizon;
  Eigen::Vector3f ambient;  // from above, on a level surface
  double cloud_cover;       // 0 to 1: part of the sky that separate clouds take
  double haze;              // 1/m: light from a distance of 1/haze arrives by 1/e
  float exposure;

  bool HasSun() const { return sunlight.maxCoeff() > 0; }
  bool IsWet() const { return sky == SkyKind::kAfterRain; }
};

Weather MakeWeather(RandomStream random);
// The weather of that kind, at that time; the rest is drawn.
Weather MakeWeather(SkyKind sky, Daytime daytime, RandomStream& random);

// One English sentence of at most 40 words about sky, time of day and light.
std::string WeatherCaption(const Weather& weather, RandomStream random);
// {"weather": caption} as captions are stored: indented by 4, in ASCII, without a newline at the end.
std::string CaptionJson(const std::string& caption);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_WEATHER_H_
