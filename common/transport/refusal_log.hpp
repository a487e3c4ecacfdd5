#pragma once
// Which refused addresses have been written to the log: each once, and so many in all that a scan fills no
// disk. Plain logic.
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

namespace troupe {

class RefusalLog {
 public:
  enum class Say {
    nothing,
    address,
    no_more
  };  ///< no_more: this one, and that further ones are only counted

  explicit RefusalLog(std::size_t most = 1024) : most_(most) {}

  [[nodiscard]] Say note(std::string_view address) {
    if (said_.size() >= most_ || !said_.emplace(address).second) return Say::nothing;
    return said_.size() == most_ ? Say::no_more : Say::address;
  }

 private:
  std::size_t most_;
  std::set<std::string, std::less<>> said_;
};

}  // namespace troupe
