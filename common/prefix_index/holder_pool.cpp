#include "common/prefix_index/holder_pool.hpp"

#include <cstring>

namespace troupe {

std::uint16_t* HolderPool::at(std::uint16_t size_class, std::uint32_t handle) const {
  const std::uint32_t each = capacity(size_class);
  const std::uint32_t in_chunk = kChunkNumbers / each;
  return classes_[size_class].chunks[handle / in_chunk].get() + (handle % in_chunk) * each;
}

std::optional<std::uint32_t> HolderPool::allocate(std::uint16_t size_class) {
  Class& c = classes_[size_class];
  if (c.free != kNone) {
    const std::uint32_t handle = c.free;
    std::memcpy(&c.free, at(size_class, handle), sizeof c.free);
    return handle;
  }
  if (c.made == c.chunks.size() * (kChunkNumbers / capacity(size_class))) {
    if (bytes() + kChunkNumbers * sizeof(std::uint16_t) > max_bytes_) return std::nullopt;
    c.chunks.push_back(std::make_unique_for_overwrite<std::uint16_t[]>(kChunkNumbers));
    ++chunks_;
  }
  return c.made++;
}

void HolderPool::release(std::uint16_t size_class, std::uint32_t handle) {
  Class& c = classes_[size_class];
  std::memcpy(at(size_class, handle), &c.free, sizeof c.free);
  c.free = handle;
}

}  // namespace troupe
