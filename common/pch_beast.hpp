#pragma once
// Precompiled for the libraries behind the Beast wall.
#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>
