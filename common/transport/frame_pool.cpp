#include "common/transport/frame_pool.hpp"

#include "common/base/error.hpp"

namespace troupe {

std::unique_ptr<FrameBuffer> FramePool::buffer(std::size_t capacity) {
  class Buffer final : public FrameBuffer {
   public:
    Buffer(std::shared_ptr<FramePool> pool, std::vector<std::uint8_t> memory)
        : pool_(std::move(pool)), memory_(std::move(memory)) {}
    ~Buffer() override {
      if (memory_.capacity() != 0) pool_->give_back(std::move(memory_));
    }
    std::span<std::uint8_t> append(std::size_t bytes) override {
      const std::size_t begin = memory_.size();
      memory_.resize(begin + bytes);
      return std::span(memory_).subspan(begin);
    }
    std::span<const std::uint8_t> bytes() const override { return memory_; }
    FramePayload finish() override {
      struct Lent {
        std::shared_ptr<FramePool> pool;
        std::vector<std::uint8_t> memory;
        ~Lent() { pool->give_back(std::move(memory)); }
      };
      auto lent = std::make_shared<Lent>(pool_, std::exchange(memory_, {}));
      const std::span<const std::uint8_t> view = lent->memory;
      return std::make_shared<const FrameBytes>(view, std::move(lent));
    }

   private:
    std::shared_ptr<FramePool> pool_;
    std::vector<std::uint8_t> memory_;
  };
  std::vector<std::uint8_t> memory;
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      memory = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  memory.clear();
  memory.reserve(capacity);
  return std::make_unique<Buffer>(shared_from_this(), std::move(memory));
}

std::size_t FramePool::spare() const {
  const std::lock_guard lock(mutex_);
  return spare_.size();
}

void FramePool::give_back(std::vector<std::uint8_t> memory) {
  const std::lock_guard lock(mutex_);
  if (spare_.size() < most_) spare_.push_back(std::move(memory));
}

}  // namespace troupe
