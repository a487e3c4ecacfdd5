#pragma once
// Keys for ZeroMQ's CURVE.
#include "common/security/key_folder.hpp"

namespace troupe {

/// A fresh pair from the system's random numbers. Ends the process where libzmq was built without CURVE.
[[nodiscard]] security::CurvePair make_curve_pair();

}  // namespace troupe
