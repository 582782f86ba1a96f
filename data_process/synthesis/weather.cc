#include "data_process/synthesis/weather.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

using Eigen::Vector3d;
using Eigen::Vector3f;

constexpr double kPi = 3.14159265358979323846;
constexpr double kDegree = kPi / 180;

// A clear sky at each time of day, in the order of Daytime.
struct ClearSky {
  double lowest_sun, highest_sun;  // degrees above the horizon
  Vector3f sunlight, zenith, horizon;
  float brightness;  // of a closed cover of clouds at that time
  float exposure;
};

const ClearSky& ClearSkyAt(Daytime daytime) {
  static const auto* skies = new std::vector<ClearSky>{
      {16, 30, {2.5f, 2.05f, 1.5f}, {0.15f, 0.29f, 0.56f}, {0.78f, 0.76f, 0.74f}, 0.85f, 1.15f},
      {46, 62, {3.0f, 2.85f, 2.6f}, {0.10f, 0.26f, 0.64f}, {0.55f, 0.72f, 0.95f}, 1.0f, 1.0f},
      {28, 44, {2.8f, 2.5f, 2.05f}, {0.12f, 0.27f, 0.60f}, {0.62f, 0.74f, 0.88f}, 0.95f, 1.05f},
      {6, 12, {2.1f, 1.25f, 0.62f}, {0.17f, 0.24f, 0.44f}, {1.0f, 0.66f, 0.40f}, 0.6f, 1.35f},
      {-6, -3, {0, 0, 0}, {0.06f, 0.09f, 0.19f}, {0.50f, 0.32f, 0.27f}, 0.22f, 2.0f},
  };
  return (*skies)[static_cast<size_t>(daytime)];
}

Vector3f Mixed(const Vector3f& a, const Vector3f& b, float part_of_b) { return a + part_of_b * (b - a); }

const std::string& Pick(const std::vector<std::string>& options, RandomStream& random) {
  return options[random.Integer(static_cast<int>(options.size()))];
}

std::string SkyClause(const Weather& weather, RandomStream& random) {
  switch (weather.sky) {
    case SkyKind::kClear:
      return Pick({"The sky is clear", "A cloudless sky spans the street", "There is not a cloud in the clear sky"},
                  random);
    case SkyKind::kPartlyCloudy:
      return Pick({"Scattered clouds drift across the sky", "The sky is partly cloudy",
                   "Scattered clouds leave gaps of open sky"},
                  random);
    case SkyKind::kOvercast:
      return Pick({"The sky is overcast", "An overcast sky hangs over the street", "Overcast, pale grey sky"}, random);
    case SkyKind::kFoggy:
      return Pick({"Dense fog lies over the street", "Fog hides the far end of the street",
                   "The street fades into fog after a few dozen metres"},
                  random);
    case SkyKind::kAfterRain:
      return Pick({"The road is still wet from rain under heavy clouds", "Rain has just stopped and the road is wet"},
                  random);
  }
  return "";
}

std::string TimeClause(Daytime daytime, RandomStream& random) {
  switch (daytime) {
    case Daytime::kMorning:
      return Pick({"in the morning", "on an early morning"}, random);
    case Daytime::kMidday:
      return Pick({"at midday", "around midday"}, random);
    case Daytime::kAfternoon:
      return Pick({"in the afternoon", "on this afternoon"}, random);
    case Daytime::kEvening:
      return Pick({"in the evening", "early in the evening"}, random);
    case Daytime::kDusk:
      return Pick({"at dusk", "at dusk, after sunset"}, random);
  }
  return "";
}

std::string LightClause(const Weather& weather, RandomStream& random) {
  if (weather.HasSun()) {
    if (weather.daytime == Daytime::kMidday) return "and the high sun casts short, crisp shadows";
    if (weather.daytime == Daytime::kEvening) return "and the low sun casts long shadows in warm light";
    return Pick({"and sunlight casts clear shadows", "with bright sunshine and distinct shadows"}, random);
  }
  if (weather.daytime == Daytime::kDusk) return Pick({"with little light left", "and the light is fading"}, random);
  return Pick({"with soft, even light", "and the light is flat"}, random);
}

}  // namespace

Weather MakeWeather(RandomStream random) {
  // Fair weather is more common than fog.
  const double kind = random.Uniform(), time = random.Uniform();
  const SkyKind sky = kind < 0.35   ? SkyKind::kClear
                      : kind < 0.65 ? SkyKind::kPartlyCloudy
                      : kind < 0.82 ? SkyKind::kOvercast
                      : kind < 0.9  ? SkyKind::kFoggy
                                    : SkyKind::kAfterRain;
  const Daytime daytime = time < 0.25   ? Daytime::kMorning
                          : time < 0.5  ? Daytime::kMidday
                          : time < 0.75 ? Daytime::kAfternoon
                          : time < 0.9  ? Daytime::kEvening
                                        : Daytime::kDusk;
  return MakeWeather(sky, daytime, random);
}

Weather MakeWeather(SkyKind sky, Daytime daytime, RandomStream& random) {
  const ClearSky& clear = ClearSkyAt(daytime);
  const double elevation = random.Uniform(clear.lowest_sun, clear.highest_sun) * kDegree;
  const double azimuth = random.Uniform(-kPi, kPi);
  Weather weather = {};
  weather.sky = sky;
  weather.daytime = daytime;
  weather.to_sun =
      Vector3d(std::cos(elevation) * std::cos(azimuth), std::cos(elevation) * std::sin(azimuth), std::sin(elevation));
  weather.sunlight = clear.sunlight;
  weather.zenith = clear.zenith;
  weather.horizon = clear.horizon;
  weather.exposure = clear.exposure;
  weather.haze = 1 / random.Uniform(700, 1500);
  switch (sky) {
    case SkyKind::kClear:
      break;
    case SkyKind::kPartlyCloudy:
      weather.cloud_cover = random.Uniform(0.3, 0.6);
      weather.sunlight *= 0.9f;
      break;
    case SkyKind::kOvercast:
    case SkyKind::kAfterRain: {
      const float brightness = clear.brightness * (sky == SkyKind::kOvercast ? 1.0f : 0.8f);
      weather.sunlight.setZero();
      weather.zenith = Mixed(clear.zenith, brightness * Vector3f(0.60f, 0.63f, 0.67f), 0.85f);
      weather.horizon = Mixed(clear.horizon, brightness * Vector3f(0.72f, 0.74f, 0.77f), 0.85f);
      weather.cloud_cover = 0.35;
      weather.haze = 1 / random.Uniform(400, 700);
      weather.exposure *= 1.1f;
      break;
    }
    case SkyKind::kFoggy:
      weather.sunlight.setZero();
      weather.zenith = weather.horizon = Mixed(clear.horizon, clear.brightness * Vector3f(0.66f, 0.68f, 0.70f), 0.85f);
      weather.haze = 1 / random.Uniform(35, 65);
      weather.exposure *= 1.1f;
      break;
  }
  weather.ambient = 0.75f * (weather.zenith + weather.horizon);
  return weather;
}

std::string WeatherCaption(const Weather& weather, RandomStream random) {
  const std::string sky = SkyClause(weather, random), time = TimeClause(weather.daytime, random);
  return absl::StrCat(sky, " ", time, ", ", LightClause(weather, random), ".");
}

std::string CaptionJson(const std::string& caption) {
  return nlohmann::json({{"weather", caption}}).dump(4, ' ', /*ensure_ascii=*/true);
}

}  // namespace cubist
