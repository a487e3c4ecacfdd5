#pragma once
// The API keys that are in force: a file's, read again when it changes while requests come. Nothing here
// looks at the file for a request.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/file_stamp.hpp"
#include "services/gateway/api_keys.hpp"
#include "services/gateway/key_limits.hpp"

namespace troupe::gateway {

/// A key and what it has used. One that was taken out of the file lives as long as its last request.
struct HeldKey {
  ApiKey key;
  std::shared_ptr<KeyLimits> limits;  ///< the same for all that ever bore this name
};

struct KeyRingOptions {
  std::string file;
  Duration look_every = std::chrono::seconds(1);  ///< whether the file changed
  std::function<void(bool)> on_reload = {};       ///< a changed file: taken (true), or not and the keys stay
};

/// Threads: any.
class KeyRing {
 public:
  /// Errors: read_secret_file's, parse_api_keys'.
  [[nodiscard]] static Expected<std::unique_ptr<KeyRing>> open(KeyRingOptions options);
  ~KeyRing();

  /// Whose secret this is; null: nobody's. Takes as long for any secret of its length. Cost: O(keys).
  [[nodiscard]] std::shared_ptr<const HeldKey> find(std::string_view secret) const;
  /// The key of that name; null: there is none any more. Cost: O(keys).
  [[nodiscard]] std::shared_ptr<const HeldKey> named(std::string_view name) const;
  /// Reads the file now. A file that is wrong, or gone, changes nothing, and is logged.
  bool reload();

 private:
  using Keys = std::vector<std::shared_ptr<const HeldKey>>;

  explicit KeyRing(KeyRingOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Expected<void> read();
  void watch();

  const KeyRingOptions options_;
  std::mutex reading_;  // one reads at a time
  FileStamp seen_;      // guarded by it
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::shared_ptr<const Keys> keys_ = std::make_shared<const Keys>();
  std::thread watcher_;
};

}  // namespace troupe::gateway
