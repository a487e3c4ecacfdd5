#pragma once
// How the states of a text's tokens become one vector.
#include <cstdint>

namespace troupe {

enum class Pooling : std::uint8_t {
  none,  ///< no vector is wanted
  mean,  ///< of all tokens
  last,  ///< of the last token, which has seen all others
};

}  // namespace troupe
