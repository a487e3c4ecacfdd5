#pragma once
// Memory of buffers and weights. Weights lie side by side in large chunks that ask for huge pages: reading them is what a
// decode step does, and 4 KiB pages halve that speed.
#include <cstddef>
#include <memory>

namespace troupe::backend::cpu {

/// Zeroed memory on a 64-byte border; large ones are mapped on a 2 MiB border. data() is null when memory ran out.
class Memory {
 public:
  explicit Memory(std::size_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  void* mapping_ = nullptr;
  std::size_t mapped_ = 0;
};

/// Some bytes of a chunk, which lives as long as anything in it.
struct ArenaBytes {
  std::shared_ptr<Memory> chunk;
  std::byte* data = nullptr;  ///< null when memory ran out
};

/// Hands out 64-byte aligned pieces one after another. Threads: one at a time.
class WeightArena {
 public:
  [[nodiscard]] ArenaBytes take(std::size_t bytes);

 private:
  std::shared_ptr<Memory> chunk_;
  std::size_t used_ = 0;
};

}  // namespace troupe::backend::cpu
