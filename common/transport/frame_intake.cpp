#include "common/transport/frame_intake.hpp"

#include "common/base/log.hpp"
#include "common/wire/frame.hpp"

namespace troupe {
namespace {

wire::FrameAck ack(const FrameIdentity& frame, bool accepted) {
  return {frame.request, frame.epoch, frame.frame, accepted, frame.lease, false, false};
}
wire::FrameAck ask_again(const FrameIdentity& frame) {
  wire::FrameAck answer = ack(frame, false);
  answer.again = true;
  return answer;
}

}  // namespace

struct FrameIntake::Credits {
  struct Due {
    std::string sender;
    FrameIdentity frame;
  };
  std::mutex mutex;
  std::function<void()> wake;
  std::vector<Due> due;

  void give(Due one) {
    const std::lock_guard lock(mutex);
    if (!wake) return;
    due.push_back(std::move(one));
    wake();
  }
};

/// Keeps a mapped frame; gives its credit back at the end.
struct FrameIntake::Reading {
  std::shared_ptr<Credits> credits;
  Credits::Due due;
  FramePayload mapped;
  bool answered = false;
  Reading() = default;
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    mapped.reset();
    if (!answered) credits->give(std::move(due));
  }
};

FrameIntake::FrameIntake(Received received, std::function<void()> wake)
    : received_(std::move(received)), credits_(std::make_shared<Credits>()) {
  credits_->wake = std::move(wake);
}

FrameIntake::~FrameIntake() {
  close();
}

void FrameIntake::close() {
  const std::lock_guard lock(credits_->mutex);
  credits_->wake = {};
}

std::optional<wire::FrameAck> FrameIntake::take_whole(std::span<const std::uint8_t> head,
                                                      std::span<const std::uint8_t> payload) {
  const auto envelope = wire::from_bytes(head);
  if (!envelope) return refuse(envelope.error());
  const auto frame = identify_frame(*envelope, payload.size());
  if (!frame) return refuse(frame.error());
  if (frame_checksum(payload) != frame->checksum) {
    (void)refuse({Errc::wire_malformed, "a frame's checksum does not match"});
    return ask_again(*frame);
  }
  count(&DataPlaneStats::frames_received);
  count(&DataPlaneStats::bytes_received, payload.size());
  if (recent_.contains(*frame)) {
    count(&DataPlaneStats::repeated);
    return ack(*frame, true);
  }
  const bool accepted = received_(*envelope, make_payload({payload.begin(), payload.end()}));
  if (accepted) recent_.add(*frame);
  return ack(*frame, accepted);
}

std::optional<wire::FrameAck> FrameIntake::take_shared(const std::string& sender,
                                                       std::span<const std::uint8_t> head,
                                                       std::string_view descriptor) {
  const auto envelope = wire::from_bytes(head);
  if (!envelope) return refuse(envelope.error());
  const auto frame = identify_header(*envelope);
  if (!frame) return refuse(frame.error());
  const BlockKey key = frame_key(*frame);
  if (in_hand_.contains(key)) {
    wire::FrameAck held = ack(*frame, true);
    held.held = true;
    return held;
  }
  if (recent_.contains(*frame)) {
    count(&DataPlaneStats::repeated);
    return ack(*frame, true);
  }
  const auto mapped = segments_.open(descriptor);
  count_segments();
  if (!mapped || !identify_frame(*envelope, (*mapped)->size())) return ask_again(*frame);
  const std::span<const std::uint8_t> bytes((*mapped)->data(), (*mapped)->size());
  if (frame_checksum(bytes) != frame->checksum || !(*mapped)->intact()) return ask_again(*frame);
  count(&DataPlaneStats::frames_received);
  count(&DataPlaneStats::shared_received);
  count(&DataPlaneStats::bytes_received, bytes.size());
  const auto reading = std::make_shared<Reading>();
  reading->credits = credits_;
  reading->due = {sender, *frame};
  reading->mapped = *mapped;
  in_hand_.insert(key);
  if (received_(*envelope,
                std::make_shared<const FrameBytes>(bytes, reading, std::string(),
                                                   [mapped = *mapped] { return mapped->intact(); })))
    return std::nullopt;
  reading->answered = true;
  in_hand_.erase(key);
  return ack(*frame, false);
}

std::vector<FrameIntake::Credit> FrameIntake::take_credits() {
  std::vector<Credits::Due> due;
  {
    const std::lock_guard lock(credits_->mutex);
    due = std::exchange(credits_->due, {});
  }
  std::vector<Credit> out;
  for (Credits::Due& one : due) {
    in_hand_.erase(frame_key(one.frame));
    recent_.add(one.frame);
    out.emplace_back(std::move(one.sender), ack(one.frame, true));
  }
  return out;
}

void FrameIntake::drop_ended() {
  segments_.drop_ended();
  count_segments();
}

void FrameIntake::count_segments() {
  const std::lock_guard lock(mutex_);
  counted_.segments = static_cast<std::uint32_t>(segments_.size());
}

void FrameIntake::count(std::uint64_t DataPlaneStats::*counter, std::uint64_t by) {
  const std::lock_guard lock(mutex_);
  counted_.*counter += by;
}

std::nullopt_t FrameIntake::refuse(const Error& why) {
  count(&DataPlaneStats::malformed);
  log::warn("data plane message refused", {{"reason", why.detail}});
  return std::nullopt;
}

void FrameIntake::add_to(DataPlaneStats& stats) const {
  const std::lock_guard lock(mutex_);
  stats.frames_received += counted_.frames_received;
  stats.bytes_received += counted_.bytes_received;
  stats.malformed += counted_.malformed;
  stats.repeated += counted_.repeated;
  stats.shared_received += counted_.shared_received;
  stats.segments += counted_.segments;
}

}  // namespace troupe
