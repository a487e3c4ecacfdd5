#pragma once
// Every option of the product, once. A new one is a row in options.cpp.
#include "common/config/schema.hpp"

namespace troupe {

[[nodiscard]] const Schema& product_schema();

}  // namespace troupe
