#include "common/transport/shared_ring.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <new>

#include "common/base/ids.hpp"

namespace troupe {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint32_t kMaxSlots = 256;
constexpr std::size_t kMaxSegment = std::size_t{4} << 30;
constexpr std::size_t kMaxSegments = 64;  // mapped at once; sender processes of one host

using Generation = std::atomic<std::uint64_t>;
static_assert(Generation::is_always_lock_free, "generations are read by other processes");

/// At the segment's beginning. A slot's generation is odd while it is lent.
struct Head {
  RequestId token;
  std::uint64_t slots = 0, slot_bytes = 0;
  std::array<Generation, kMaxSlots> generations{};
};
static_assert(sizeof(Head) <= kPage);

tl::unexpected<Error> failed(const char* what) {
  return tl::unexpected<Error>(Error{Errc::io_failed, std::string(what) + ": " + std::strerror(errno)});
}

/// The parts of a descriptor, in its order.
struct Place {
  std::string_view name;  // PID:FD:TOKEN
  std::uint64_t pid = 0, fd = 0;
  std::string_view token;
  std::uint64_t slot = 0, generation = 0, bytes = 0;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Place> parse(std::string_view descriptor) {
  std::array<std::string_view, 6> part;
  std::size_t at = 0;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const std::size_t end = i + 1 < part.size() ? descriptor.find(':', at) : descriptor.size();
    if (end == std::string_view::npos) return std::nullopt;
    part[i] = descriptor.substr(at, end - at);
    at = end + 1;
  }
  const auto pid = number(part[0]), fd = number(part[1]), slot = number(part[3]),
             generation = number(part[4]), bytes = number(part[5]);
  if (!pid || !fd || !slot || !generation || !bytes) return std::nullopt;
  const auto name_bytes = static_cast<std::size_t>(part[2].data() + part[2].size() - descriptor.data());
  return Place{descriptor.substr(0, name_bytes), *pid, *fd, part[2], *slot, *generation, *bytes};
}

}  // namespace

const std::string& host_identity() {
  static const std::string identity = [] {
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    struct stat space {};
    if (boot.empty() || ::stat("/proc/self/ns/pid", &space) != 0)
      return std::string();  // then nobody shares with us
    return boot + "/" + std::to_string(space.st_ino) + "/" + std::to_string(::getuid());
  }();
  return identity;
}

// ---- sender ----

Expected<std::shared_ptr<SharedRing>> SharedRing::create(const SharedRingOptions& options) {
  TROUPE_CHECK(options.slots > 0 && options.slots <= kMaxSlots && options.slot_bytes % kPage == 0,
               "slots are whole pages");
  std::shared_ptr<SharedRing> ring(new SharedRing(options));
  ring->size_ = kPage + options.slots * options.slot_bytes;
  ring->fd_ = ::memfd_create("troupe-frames", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (ring->fd_ < 0) return failed("memfd_create");
  if (::ftruncate(ring->fd_, static_cast<off_t>(ring->size_)) != 0)
    return failed("ftruncate of a shared segment");
  // A reader relies on the size it saw.
  (void)::fcntl(ring->fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  void* const base = ::mmap(nullptr, ring->size_, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd_, 0);
  if (base == MAP_FAILED) return failed("mmap of a shared segment");
  ring->base_ = static_cast<std::uint8_t*>(base);
  auto* const head = new (base) Head;
  head->token = random_id<RequestId>();
  head->slots = options.slots;
  head->slot_bytes = options.slot_bytes;
  ring->name_ = std::to_string(::getpid()) + ":" + std::to_string(ring->fd_) + ":" + to_hex(head->token);
  return ring;
}

SharedRing::~SharedRing() {
  if (base_ != nullptr) ::munmap(base_, size_);
  if (fd_ >= 0) ::close(fd_);
}

std::uint8_t* SharedRing::slot_memory(std::uint32_t slot) const {
  return base_ + kPage + slot * options_.slot_bytes;
}

/// Before what follows is written: readers see the change first.
void SharedRing::bump(std::uint32_t slot) {
  reinterpret_cast<Head*>(base_)->generations[slot].fetch_add(1, std::memory_order_seq_cst);
}

void SharedRing::release(std::uint32_t slot) {
  bump(slot);
  const std::lock_guard lock(mutex_);
  used_[slot] = false;
}

std::uint32_t SharedRing::slots_in_use() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint32_t>(std::count(used_.begin(), used_.end(), true));
}

class SharedRing::Buffer final : public FrameBuffer {
 public:
  /// Frees its slot at the end of whoever holds it last.
  struct Lease {
    std::shared_ptr<SharedRing> ring;
    std::uint32_t slot;
    ~Lease() { ring->release(slot); }
  };
  Buffer(std::shared_ptr<SharedRing> ring, std::uint32_t slot)
      : lease_(std::make_shared<Lease>(std::move(ring), slot)) {}

  std::span<std::uint8_t> append(std::size_t bytes) override {
    TROUPE_CHECK(size_ + bytes <= lease_->ring->options_.slot_bytes, "a frame is larger than its slot");
    const std::span<std::uint8_t> room(memory() + size_, bytes);
    size_ += bytes;
    return room;
  }
  std::span<const std::uint8_t> bytes() const override { return {memory(), size_}; }
  FramePayload finish() override {
    const SharedRing& ring = *lease_->ring;
    const std::uint64_t generation =
        reinterpret_cast<const Head*>(ring.base_)->generations[lease_->slot].load();
    std::string descriptor = ring.name_ + ":" + std::to_string(lease_->slot) + ":" +
                             std::to_string(generation) + ":" + std::to_string(size_);
    return std::make_shared<const FrameBytes>(bytes(), std::move(lease_), std::move(descriptor));
  }

 private:
  std::uint8_t* memory() const { return lease_->ring->slot_memory(lease_->slot); }
  std::shared_ptr<Lease> lease_;
  std::size_t size_ = 0;
};

std::unique_ptr<FrameBuffer> SharedRing::buffer(std::size_t capacity) {
  if (capacity > options_.slot_bytes) return nullptr;
  std::uint32_t slot = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto free = std::find(used_.begin(), used_.end(), false);
    if (free == used_.end()) return nullptr;
    *free = true;
    slot = static_cast<std::uint32_t>(free - used_.begin());
  }
  bump(slot);
  return std::make_unique<Buffer>(shared_from_this(), slot);
}

// ---- receiver ----

class SharedSegments::Segment {
 public:
  static Expected<std::shared_ptr<Segment>> map(const Place& place) {
    auto segment = std::make_shared<Segment>();
    segment->process_ = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(place.pid), 0));
    if (segment->process_ < 0) return failed("pidfd_open");
    const std::string path = "/proc/" + std::to_string(place.pid) + "/fd/" + std::to_string(place.fd);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed("open of a shared segment");
    struct stat info {};
    const bool whole = ::fstat(fd, &info) == 0 && static_cast<std::size_t>(info.st_size) > kPage &&
                       static_cast<std::size_t>(info.st_size) <= kMaxSegment;
    if (whole) {
      segment->size_ = static_cast<std::size_t>(info.st_size);
      void* const base = ::mmap(nullptr, segment->size_, PROT_READ, MAP_SHARED, fd, 0);
      if (base != MAP_FAILED) segment->base_ = static_cast<const std::uint8_t*>(base);
    }
    ::close(fd);
    if (segment->base_ == nullptr) return fail(Errc::io_failed, "a shared segment cannot be mapped");
    const Head& head = segment->head();
    // The same process and number may name another file by now.
    if (to_hex(head.token) != place.token || head.slots > kMaxSlots || head.slot_bytes > kMaxSegment ||
        kPage + head.slots * head.slot_bytes != segment->size_)
      return fail(Errc::io_failed, "a shared segment is another one by now");
    segment->slots_ = head.slots;
    segment->slot_bytes_ = head.slot_bytes;
    return segment;
  }
  Segment() = default;
  ~Segment() {
    if (base_ != nullptr) ::munmap(const_cast<std::uint8_t*>(base_), size_);
    if (process_ >= 0) ::close(process_);
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  [[nodiscard]] const Head& head() const { return *reinterpret_cast<const Head*>(base_); }
  [[nodiscard]] bool holds(const Place& place) const {
    return place.slot < slots_ && place.bytes <= slot_bytes_;
  }
  [[nodiscard]] bool is(std::uint64_t slot, std::uint64_t generation) const {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // after all that was read
    return head().generations[slot].load(std::memory_order_seq_cst) == generation;
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes(const Place& place) const {
    return {base_ + kPage + place.slot * slot_bytes_, place.bytes};
  }
  [[nodiscard]] int process() const { return process_; }
  [[nodiscard]] bool ended() const {
    pollfd item{process_, POLLIN, 0};
    return ::poll(&item, 1, 0) > 0;
  }

 private:
  const std::uint8_t* base_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t slots_ = 0, slot_bytes_ = 0;  // as they were: the sender may write its head
  int process_ = -1;
};

Expected<FramePayload> SharedSegments::open(std::string_view descriptor) {
  const auto place = parse(descriptor);
  if (!place) return fail(Errc::invalid_argument, "no descriptor of a shared slot");
  auto at = segments_.find(place->name);
  if (at == segments_.end()) {
    drop_ended();
    if (segments_.size() >= kMaxSegments) return fail(Errc::io_failed, "too many shared segments are mapped");
    auto mapped = Segment::map(*place);
    if (!mapped) return tl::unexpected<Error>(mapped.error());
    at = segments_.emplace(std::string(place->name), std::move(*mapped)).first;
  }
  const std::shared_ptr<Segment>& segment = at->second;
  const std::uint64_t slot = place->slot, generation = place->generation;
  if (!segment->holds(*place) || !segment->is(slot, generation))
    return fail(Errc::invalid_argument, "a shared slot is another one by now");
  return std::make_shared<const FrameBytes>(
      segment->bytes(*place), segment, std::string(),
      [segment, slot, generation] { return segment->is(slot, generation); });
}

std::vector<int> SharedSegments::process_handles() const {
  std::vector<int> handles;
  for (const auto& [name, segment] : segments_) handles.push_back(segment->process());
  return handles;
}

void SharedSegments::drop_ended() {
  std::erase_if(segments_, [](const auto& entry) { return entry.second->ended(); });
}

}  // namespace troupe
