// The 23 semantic classes of the point clouds, their groups and the colours in which pictures show
// them. Ids and groups are those of the data (InfiniCube, Waymo order); the colours are our own.
#ifndef CUBIST_DATA_PROCESS_SCENES_SEMANTIC_CLASSES_H_
#define CUBIST_DATA_PROCESS_SCENES_SEMANTIC_CLASSES_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace cubist {

enum class SemanticClass : uint8_t {
  kUndefined = 0,
  kCar = 1,
  kTruck = 2,
  kBus = 3,
  kOtherVehicle = 4,
  kMotorcyclist = 5,
  kBicyclist = 6,
  kPedestrian = 7,
  kSign = 8,
  kTrafficLight = 9,
  kPole = 10,
  kConstructionCone = 11,
  kBicycle = 12,
  kMotorcycle = 13,
  kBuilding = 14,
  kVegetation = 15,
  kTreeTrunk = 16,
  kCurb = 17,
  kRoad = 18,
  kLaneMarker = 19,
  kOtherGround = 20,
  kWalkable = 21,
  kSidewalk = 22,
};

inline constexpr int kSemanticClassCount = 23;

// Sets of classes that belong together to the eye.
enum class VisualGroup : uint8_t {
  kTrafficControl = 0,  // signs, traffic lights, cones
  kPeopleAndCycles = 1,
  kFootways = 2,
  kVehicles = 3,
  kPlants = 4,
  kRoadMarks = 5,  // curbs and lane markers
  kBuildings = 6,
  kRoads = 7,
  kUndefined = 8,
  kPoles = 9,
};

struct SemanticClassInfo {
  std::string_view name;          // as in the data's documentation
  VisualGroup group;              // of the ten visual groups
  std::array<uint8_t, 3> colour;  // red, green, blue
};

// Indexed by class id.
inline constexpr std::array<SemanticClassInfo, kSemanticClassCount> kSemanticClasses = {{
    {"UNDEFINED", VisualGroup::kUndefined, {120, 120, 128}},
    {"CAR", VisualGroup::kVehicles, {66, 133, 244}},
    {"TRUCK", VisualGroup::kVehicles, {38, 90, 196}},
    {"BUS", VisualGroup::kVehicles, {96, 108, 226}},
    {"OTHER_VEHICLE", VisualGroup::kVehicles, {124, 172, 255}},
    {"MOTORCYCLIST", VisualGroup::kPeopleAndCycles, {196, 32, 84}},
    {"BICYCLIST", VisualGroup::kPeopleAndCycles, {255, 92, 138}},
    {"PEDESTRIAN", VisualGroup::kPeopleAndCycles, {232, 48, 58}},
    {"SIGN", VisualGroup::kTrafficControl, {255, 214, 64}},
    {"TRAFFIC_LIGHT", VisualGroup::kTrafficControl, {255, 167, 38}},
    {"POLE", VisualGroup::kPoles, {186, 164, 140}},
    {"CONSTRUCTION_CONE", VisualGroup::kTrafficControl, {255, 112, 32}},
    {"BICYCLE", VisualGroup::kPeopleAndCycles, {255, 150, 180}},
    {"MOTORCYCLE", VisualGroup::kPeopleAndCycles, {156, 24, 110}},
    {"BUILDING", VisualGroup::kBuildings, {206, 138, 104}},
    {"VEGETATION", VisualGroup::kPlants, {92, 168, 76}},
    {"TREE_TRUNK", VisualGroup::kPlants, {122, 86, 54}},
    {"CURB", VisualGroup::kRoadMarks, {168, 176, 190}},
    {"ROAD", VisualGroup::kRoads, {74, 78, 92}},
    {"LANE_MARKER", VisualGroup::kRoadMarks, {244, 244, 236}},
    {"OTHER_GROUND", VisualGroup::kRoads, {104, 98, 84}},
    {"WALKABLE", VisualGroup::kFootways, {178, 200, 132}},
    {"SIDEWALK", VisualGroup::kFootways, {206, 186, 214}},
}};

// The colour of each VisualGroup in semantic buffer videos: facts of the data (the reference's palette).
inline constexpr std::array<std::array<uint8_t, 3>, 10> kBufferColours = {{
    {102, 194, 165},
    {252, 141, 98},
    {141, 160, 203},
    {188, 128, 189},
    {77, 175, 74},
    {255, 217, 47},
    {229, 196, 148},
    {179, 179, 179},
    {31, 120, 180},
    {204, 235, 197},
}};

// Whether points of this class are taken away where cars are replaced by a car mesh: CAR, TRUCK, BUS
// and OTHER_VEHICLE, the group kVehicles.
constexpr bool IsVehicle(int semantic_class) { return semantic_class >= 1 && semantic_class <= 4; }

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_SEMANTIC_CLASSES_H_
