#include "common/terminal/progress.hpp"

#include <algorithm>
#include <ostream>

namespace troupe {
namespace {

constexpr int kWidth = 30;

int percent(std::uint64_t done, std::uint64_t total) {
  if (total == 0) return 100;
  return static_cast<int>(static_cast<double>(std::min(done, total)) * 100.0 / static_cast<double>(total));
}

}  // namespace

std::string progress_bar(std::uint64_t done, std::uint64_t total, int width) {
  const int filled = percent(done, total) * width / 100;
  std::string number = std::to_string(percent(done, total));
  number.insert(0, 3 - std::min<std::size_t>(number.size(), 3), ' ');
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.append(static_cast<std::size_t>(width - filled), '.');
  return "[" + bar + "] " + number + " %";
}

Progress::Progress(std::ostream& out, std::string what, std::uint64_t total, bool live)
    : out_(out), what_(std::move(what)), total_(total), live_(live) {}

void Progress::update(std::uint64_t done) {
  done_ = done;
  if (live_ && percent(done_, total_) != shown_percent_) draw();
}

void Progress::draw() {
  shown_percent_ = percent(done_, total_);
  out_ << "\r" << what_ << " " << progress_bar(done_, total_, kWidth) << std::flush;
}

void Progress::finish() {
  if (live_)
    draw();
  else
    out_ << what_ << " " << progress_bar(done_, total_, kWidth);
  out_ << "\n" << std::flush;
}

}  // namespace troupe
