#include "services/gateway/batches/file_upload.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

constexpr std::array kFields{
    Field{"file", kUpload, kString},
    Field{"purpose", kUpload, kString},
    Field{"expires_after[anchor]", kUpload, kString},
    Field{"expires_after[seconds]", kUpload, kString},
};

constexpr std::size_t kLongestName = 1024;
constexpr std::int64_t kShortestLife = 3600, kLongestLife = 30LL * 24 * 3600;  // as OpenAI has it

auto missing(const std::string& param) {
  return refuse("missing_required_parameter", param, "Missing required parameter: '" + param + "'.");
}

tl::unexpected<ApiError> too_much(const std::string& what) {
  return tl::unexpected<ApiError>(
      ApiError{429, "file_quota_exceeded", "file", what + ": delete files that are not needed any more.", 0});
}

}  // namespace

std::span<const Field> upload_fields() {
  return kFields;
}

void FileUpload::take(std::string piece, std::function<void()> taken) {
  thread_->post([self = shared_from_this(), piece = std::move(piece), taken = std::move(taken)] {
    if (!self->error_) {
      if (auto done = self->read(piece); !done) {
        self->error_ = std::move(done.error());
        self->content_.reset();
      }
    }
    taken();
  });
}

Parsed<void> FileUpload::read(std::string_view piece) {
  if (!reader_) {
    if (auto begun = begin(); !begun) return begun;
  }
  return reader_->feed(piece);
}

Parsed<void> FileUpload::begin() {
  auto boundary = multipart_boundary(content_type_);
  if (!boundary) return tl::unexpected<ApiError>(std::move(boundary.error()));
  auto store = find_store_();
  if (!store) return tl::unexpected<ApiError>(std::move(store.error()));
  store_ = *store;
  const auto held = store_->held(owner_);
  if (!held) return tl::unexpected<ApiError>(to_api(held.error()));
  held_ = *held;
  if (auto room = check_room(0); !room) return room;
  MultipartReader::Handler handler;
  // It is a part of this.
  handler.field = [this](const std::string& name, std::string value) {
    return take_field(name, std::move(value));
  };
  handler.file = [this](const std::string& name, std::string filename) {
    return begin_file(name, std::move(filename));
  };
  handler.data = [this](std::string_view bytes) { return take_data(bytes); };
  reader_.emplace(std::move(*boundary), std::move(handler));
  return {};
}

Parsed<void> FileUpload::check_room(std::int64_t more) const {
  if (held_.files >= limits_.files)
    return too_much("You have " + std::to_string(held_.files) + " files, of at most " +
                    std::to_string(limits_.files));
  if (held_.bytes + more > limits_.bytes)
    return too_much("Your files have " + std::to_string(held_.bytes) + " bytes, and may have at most " +
                    std::to_string(limits_.bytes));
  return {};
}

Parsed<void> FileUpload::take_field(const std::string& name, std::string value) {
  if (name == "purpose") {
    purpose_ = std::move(value);
    if (*purpose_ == "batch") return {};
    return refuse("invalid_value", "purpose",
                  "purpose: only files for batches are kept here, so 'batch' is what it may be");
  }
  if (name == "expires_after[anchor]") {
    anchor_ = std::move(value);
  } else if (name == "expires_after[seconds]") {
    seconds_ = std::move(value);
  } else {
    return refuse("unknown_parameter", invalid_utf8_at(name) ? "" : name, "Unknown parameter of a file.");
  }
  return {};
}

Parsed<void> FileUpload::begin_file(const std::string& name, std::string filename) {
  if (name != "file" || content_)
    return refuse("invalid_value", "file", "file: expected one file, in the field 'file'");
  if (filename.size() > kLongestName || invalid_utf8_at(filename))
    return refuse("invalid_value", "file", "file: its name is not UTF-8 of at most 1024 bytes");
  name_ = std::move(filename);
  auto content = store_->new_content();
  if (!content) return tl::unexpected<ApiError>(to_api(content.error()));
  content_.emplace(std::move(*content));
  return {};
}

Parsed<void> FileUpload::take_data(std::string_view bytes) {
  const std::int64_t size = content_->bytes() + static_cast<std::int64_t>(bytes.size());
  if (size > limits_.file_bytes)
    return tl::unexpected<ApiError>(to_api(
        Error{Errc::body_too_large, "a file has at most " + std::to_string(limits_.file_bytes) + " bytes"}));
  if (auto room = check_room(size); !room) return room;
  if (auto written = content_->write(bytes); !written)
    return tl::unexpected<ApiError>(to_api(written.error()));
  return {};
}

// 30 days, unless the client says otherwise; as OpenAI does with files for batches.
Parsed<std::int64_t> FileUpload::lifetime() const {
  if (!anchor_ && !seconds_) return kLongestLife;
  if (anchor_.value_or("") != "created_at")
    return refuse("invalid_value", "expires_after.anchor", "expires_after.anchor: expected 'created_at'");
  const std::string text = seconds_.value_or("");
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < kShortestLife ||
      seconds > kLongestLife)
    return refuse("invalid_value", "expires_after.seconds",
                  "expires_after.seconds: expected a number from 3600 to 2592000");
  return seconds;
}

Parsed<FileRecord> FileUpload::finish(std::int64_t now) {
  auto kept = keep(now);
  content_.reset();  // of what is refused nothing stays
  return kept;
}

Parsed<FileRecord> FileUpload::keep(std::int64_t now) {
  if (error_) return tl::unexpected<ApiError>(std::move(*error_));
  if (!reader_ || !reader_->ended())
    return refuse("malformed_multipart", "", "the body is no multipart/form-data: it has no end");
  if (!content_) return missing("file");
  if (!purpose_) return missing("purpose");
  const auto life = lifetime();
  if (!life) return tl::unexpected<ApiError>(life.error());
  // Others may have come in meanwhile.
  const auto held = store_->held(owner_);
  if (!held) return tl::unexpected<ApiError>(to_api(held.error()));
  held_ = *held;
  if (auto room = check_room(content_->bytes()); !room)
    return tl::unexpected<ApiError>(std::move(room.error()));
  auto added = store_->add_file({"", owner_, *name_, *purpose_, 0, now, now + *life}, *content_);
  if (!added) return tl::unexpected<ApiError>(to_api(added.error()));
  return std::move(*added);
}

}  // namespace troupe::gateway
