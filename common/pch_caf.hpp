#pragma once
// Precompiled for the libraries behind the CAF wall.
#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>
