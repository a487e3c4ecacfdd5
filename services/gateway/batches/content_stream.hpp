#pragma once
// Sends a stored file as fast as its client reads it, a piece at a time.
#include <cstdint>
#include <memory>
#include <utility>

#include "services/gateway/batches/batch_thread.hpp"
#include "services/gateway/batches/stored_file.hpp"
#include "services/gateway/call.hpp"

namespace troupe::gateway {

/// Threads: the BatchThread.
class ContentStream : public std::enable_shared_from_this<ContentStream> {
 public:
  ContentStream(Call call, FileReader file, std::shared_ptr<BatchThread> thread)
      : call_(std::move(call)), file_(std::move(file)), thread_(std::move(thread)) {}

  void start();

 private:
  void step();

  Call call_;
  const FileReader file_;
  const std::shared_ptr<BatchThread> thread_;
  std::int64_t at_ = 0;
};

}  // namespace troupe::gateway
