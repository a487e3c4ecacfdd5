#include "common/backend/cpu/memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace troupe::backend::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kChunk = std::size_t{32} << 20;

std::size_t round_up(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

}  // namespace

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  if (bytes >= kHugePage) {
    if (bytes > SIZE_MAX - kHugePage) return;
    void* at = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    mapping_ = at;
    mapped_ = bytes + kHugePage;
    data_ = reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(at), kHugePage));
    madvise(data_, bytes, MADV_HUGEPAGE);  // advice only
    return;
  }
  const std::size_t rounded = round_up(bytes + 1, 64);  // at least one line, so that an empty buffer has an address
  data_ = static_cast<std::byte*>(std::aligned_alloc(64, rounded));
  if (data_ != nullptr) std::memset(data_, 0, rounded);
}

Memory::~Memory() {
  if (mapping_ != nullptr)
    munmap(mapping_, mapped_);
  else
    std::free(data_);
}

ArenaBytes WeightArena::take(std::size_t bytes) {
  const std::size_t rounded = round_up(bytes, 64);
  if (rounded > kChunk / 2) {  // one chunk of its own; the open one stays open
    auto own = std::make_shared<Memory>(bytes);
    std::byte* data = own->data();
    return {std::move(own), data};
  }
  if (chunk_ == nullptr || chunk_->bytes() - used_ < rounded) {
    chunk_ = std::make_shared<Memory>(kChunk);
    used_ = 0;
    if (chunk_->data() == nullptr) chunk_.reset();
  }
  if (chunk_ == nullptr) return {};
  std::byte* data = chunk_->data() + used_;
  used_ += rounded;
  return {chunk_, data};
}

}  // namespace troupe::backend::cpu
