#pragma once
// A file that comes in: a multipart form, written to disk as it arrives.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "services/gateway/batches/batch_store.hpp"
#include "services/gateway/batches/batch_thread.hpp"
#include "services/gateway/batches/multipart.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {

struct FileLimits {
  std::int64_t file_bytes = 200LL << 20;  ///< of one file; 413 beyond
  std::int64_t files = 1000;  ///< of one owner, those that batches wrote counted; 429 beyond, as the next
  std::int64_t bytes = 10LL << 30;
};

/// Fields of the form; all of its values are texts.
inline constexpr Endpoints kUpload = 1;
[[nodiscard]] std::span<const Field> upload_fields();

/// Threads: take() any, the rest the BatchThread.
class FileUpload final : public BodySink, public std::enable_shared_from_this<FileUpload> {
 public:
  using FindStore = std::function<Parsed<BatchStore*>()>;

  FileUpload(std::shared_ptr<BatchThread> thread, FindStore find_store, const FileLimits& limits,
             const RequestId& owner, std::string content_type, std::shared_ptr<void> place)
      : thread_(std::move(thread)),
        find_store_(std::move(find_store)),
        limits_(limits),
        owner_(owner),
        content_type_(std::move(content_type)),
        place_(std::move(place)) {}

  void take(std::string piece, std::function<void()> taken) override;
  /// The body has ended. Errors: what was wrong with it.
  [[nodiscard]] Parsed<FileRecord> finish(std::int64_t now);

 private:
  [[nodiscard]] Parsed<FileRecord> keep(std::int64_t now);
  [[nodiscard]] Parsed<void> read(std::string_view piece);
  [[nodiscard]] Parsed<void> begin();
  [[nodiscard]] Parsed<void> take_field(const std::string& name, std::string value);
  [[nodiscard]] Parsed<void> begin_file(const std::string& name, std::string filename);
  [[nodiscard]] Parsed<void> take_data(std::string_view bytes);
  [[nodiscard]] Parsed<void> check_room(std::int64_t more) const;
  [[nodiscard]] Parsed<std::int64_t> lifetime() const;

  const std::shared_ptr<BatchThread> thread_;
  const FindStore find_store_;
  const FileLimits limits_;
  const RequestId owner_;
  const std::string content_type_;
  const std::shared_ptr<void> place_;  // among the uploads that come in at a time
  BatchStore* store_ = nullptr;
  BatchStore::Held held_;
  std::optional<MultipartReader> reader_;
  std::optional<FileWriter> content_;
  std::optional<ApiError> error_;  // the rest of the body is read and dropped
  std::optional<std::string> name_, purpose_, anchor_, seconds_;
};

}  // namespace troupe::gateway
