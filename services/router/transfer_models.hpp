#pragma once
// What it takes to bring pages from one worker to another, learnt from what fetches took:
//
//   time = base + byte * bytes
//
// per link, per source, and over all: a link that showed nothing for a while is predicted like its source's
// others.
#include <map>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"
#include "services/router/online_fit.hpp"

namespace troupe::router {

/// In microseconds.
struct TransferCosts {
  double base = 3000;  ///< asking, reserving, the first frame
  double byte = 1e-3;  ///< 1 GB/s
  [[nodiscard]] double us(double bytes) const { return base + byte * bytes; }
};

/// What is known of one source's links; `links` by target.
struct SourceCosts {
  TransferCosts any;
  std::vector<std::pair<NodeId, TransferCosts>> links = {};
  [[nodiscard]] const TransferCosts& to(const NodeId& target) const;
};

/// Threads: one. Cost: O(log links); costs(): O(a source's links). Memory: bounded, kMostLinks.
class TransferModels {
 public:
  static constexpr std::size_t kMostLinks = 1u << 14;
  /// `prior` holds until something was learnt.
  explicit TransferModels(const TransferCosts& prior) : prior_(prior) {}

  [[nodiscard]] SourceCosts costs(const NodeId& source, TimePoint now) const;
  void learn(const NodeId& source, const NodeId& target, double bytes, double took_us, TimePoint now);
  void forget(const NodeId& node);
  [[nodiscard]] std::size_t links() const { return links_.size(); }

 private:
  struct Known {
    OnlineFit<2> fit;
    TimePoint taught{};
  };
  [[nodiscard]] TransferCosts of_source(const NodeId& source, TimePoint now) const;
  void drop_old_links(TimePoint now);

  TransferCosts prior_;
  std::map<std::pair<NodeId, NodeId>, Known> links_;  // from, to
  std::map<NodeId, Known> sources_;
  std::vector<OnlineFit<2>> shared_;  // one, once something was learnt
};

}  // namespace troupe::router
