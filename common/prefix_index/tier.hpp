#pragma once
#include <cstdint>

namespace troupe {

/// Where a holder has a block.
enum class Tier : std::uint8_t { memory = 1, disk = 2 };

}  // namespace troupe
