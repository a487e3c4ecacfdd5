#include "services/gateway/time_text.hpp"

#include <array>
#include <ctime>

namespace troupe::gateway {

std::string rfc3339(std::chrono::system_clock::time_point at) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(at);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::string out(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts));
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(at - whole).count();
  if (rest > 0) {
    out += '.';
    out.append(std::to_string(1'000'000'000 + rest), 1);  // with its leading zeros
  }
  out += 'Z';
  return out;
}

}  // namespace troupe::gateway
