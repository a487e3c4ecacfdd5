#pragma once
// A progress bar on one line of a terminal; on anything else one line at the end.
#include <cstdint>
#include <iosfwd>
#include <string>

namespace troupe {

class Progress {
 public:
  /// `live`: the stream is a terminal, redraw in place.
  Progress(std::ostream& out, std::string what, std::uint64_t total, bool live);
  void update(std::uint64_t done);  ///< draws when the percentage changed
  void finish();                    ///< ends the line

 private:
  void draw();
  std::ostream& out_;
  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  int shown_percent_ = -1;
  bool live_;
};

/// "[#####.....]  50 %"; `total` 0 counts as done.
[[nodiscard]] std::string progress_bar(std::uint64_t done, std::uint64_t total, int width);

}  // namespace troupe
