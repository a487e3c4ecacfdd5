#include "services/gateway/picture_book.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::gateway {

std::shared_ptr<ClusterPicture> PictureBook::next() const {
  auto made = std::make_shared<ClusterPicture>(*picture_);
  ++made->version;
  return made;
}

bool PictureBook::set_joined(bool joined) {
  if (picture_->joined == joined) return false;
  auto made = next();
  made->joined = joined;
  picture_ = std::move(made);
  return true;
}

bool PictureBook::take(const wire::ClusterReport& report) {
  if (report.router != router_) {  // another one: its numbers start anew, its placements are its own
    router_ = report.router;
    number_ = 0;
    parts_.clear();
  }
  if (report.parts != 0) return take_nodes(report);
  auto made = next();
  take_placements(report, *made);
  picture_ = std::move(made);
  return true;
}

bool PictureBook::take_nodes(const wire::ClusterReport& report) {
  if (report.number < number_ || report.part >= report.parts || report.parts > kMaxParts) return false;
  if (report.number > number_) {
    number_ = report.number;
    parts_.clear();
  }
  parts_[report.part] = report.rows;
  if (parts_.size() < report.parts) return false;
  auto made = next();
  made->router = router_;
  made->nodes.clear();
  for (auto& [part, rows] : std::exchange(parts_, {}))
    std::ranges::move(rows, std::back_inserter(made->nodes));
  std::ranges::sort(made->nodes, {}, &wire::ClusterReport::Row::name);
  picture_ = std::move(made);
  return true;
}

void PictureBook::take_placements(const wire::ClusterReport& report, ClusterPicture& picture) {
  for (const wire::ClusterReport::Explanation& told : report.placements) {
    const auto same = std::ranges::find_if(picture.placements, [&](const ClusterPicture::Placement& known) {
      return known.what.request == told.request && known.what.epoch == told.epoch;
    });
    if (same != picture.placements.end()) {
      *same = {picture.version, told};
    } else {
      picture.placements.push_back({picture.version, told});
    }
  }
  if (picture.placements.size() > kPlacements) {
    const auto excess = static_cast<std::ptrdiff_t>(picture.placements.size() - kPlacements);
    picture.placements.erase(picture.placements.begin(), picture.placements.begin() + excess);
  }
}

}  // namespace troupe::gateway
