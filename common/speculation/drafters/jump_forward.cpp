// Jump-forward: where the form of an answer leaves one text, all of it rides along in one step [Zheng et al.
// 2023, "SGLang: Efficient Execution of Structured Language Model Programs", arXiv:2312.07104, compressed
// finite state machine]. Departs from the paper: the text is a draft, not an insertion, so the target still
// chooses how to cut it into tokens, and the answer is the one that plain decoding gives.
#include <algorithm>

#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {
namespace {

// The target often takes the last token together with the free text that follows.
constexpr float kInside = 0.95F, kAtTheEnd = 0.6F;

class JumpForward final : public Drafter {
 public:
  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    DraftTree draft;
    std::int32_t parent = DraftTree::kRoot;
    const std::size_t most = std::min<std::size_t>({budget.nodes, budget.depth, context.expected.size()});
    for (std::size_t i = 0; i < most; ++i)
      parent = draft.add(context.expected[i], parent, i + 1 < context.expected.size() ? kInside : kAtTheEnd);
    return draft;
  }
  void observe(const DraftContext& context, const Observation& observation) override {
    (void)context, (void)observation;
  }
  void fork(SequenceNumber from, SequenceNumber to) override { (void)from, (void)to; }
  void forget(SequenceNumber sequence) override { (void)sequence; }
};

}  // namespace

std::unique_ptr<Drafter> make_jump_forward(const DrafterOptions& options) {
  (void)options;
  return std::make_unique<JumpForward>();
}

}  // namespace troupe::speculation
