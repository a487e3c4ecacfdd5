#pragma once
// The keys of a cluster: one folder that every machine of it holds, and nobody else. Who has it is a member.
//
//   current           the number of the generation in use
//   N.curve           ZeroMQ: public and secret key, a line each, in Z85         secret
//   N.node.key        private key of the members' certificate                    secret
//   N.node.pem        that certificate
//   N.ca.pem          the authority that signed it
//   authorities.pem   all of these
//
// Generations. Keys in use are `current`; all others of the folder are accepted. There is always a next one,
// so that members know it before anybody uses it: rotate_keys() takes it into use and makes another,
// retire_keys() deletes what was in use before. Members that are restarted one after the other understand
// each other at every moment, if all have the folder of one step before the next is taken.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::security {

/// A pair of Curve25519 keys, 40 characters of Z85 each.
struct CurvePair {
  std::string public_key, secret_key;
};

struct KeyGeneration {
  unsigned number = 0;
  CurvePair curve;
  std::filesystem::path certificate, private_key, authority;  ///< PEM files
};

/// What a member uses and accepts. Never logged, never part of a configuration's dump.
struct ClusterKeys {
  /// The one in use first, then those before it (the newest of them first), then those after it.
  std::vector<KeyGeneration> generations;
  std::filesystem::path authorities;  ///< PEM file of all that are accepted

  [[nodiscard]] const KeyGeneration& current() const { return generations.front(); }
};

/// Reads and checks a folder. Errors: file_not_found, file_malformed, config_invalid (others can read a
/// secret).
[[nodiscard]] Expected<std::shared_ptr<const ClusterKeys>> load_keys(const std::filesystem::path& folder);

/// What new generations are made of.
struct KeyMaker {
  std::function<CurvePair()> curve;
  std::vector<std::string> hosts;  ///< that the certificate is for, besides localhost
};

/// Two generations, the first in use, in a folder that is new or empty. Errors: config_invalid (there are
/// keys), io_failed.
[[nodiscard]] Expected<void> make_keys(const std::filesystem::path& folder, const KeyMaker& maker);
/// The next generation becomes the one in use, and a next one is made. Errors: load_keys', config_invalid
/// (one before the current is still accepted: three would have to be told apart), io_failed.
[[nodiscard]] Expected<void> rotate_keys(const std::filesystem::path& folder, const KeyMaker& maker);
/// Deletes the generations before the current one; returns their numbers. Errors: load_keys', config_invalid
/// (there is none), io_failed.
[[nodiscard]] Expected<std::vector<unsigned>> retire_keys(const std::filesystem::path& folder);

/// What may be shown of a generation.
struct KeyFacts {
  unsigned number = 0;
  std::string state;                 ///< "in use", "next" or "retiring"
  std::string curve;                 ///< SHA-256 of the public key, hex
  std::string certificate, expires;  ///< SHA-256 of the certificate, hex; its last day
};

/// Errors: load_keys'.
[[nodiscard]] Expected<std::vector<KeyFacts>> describe_keys(const std::filesystem::path& folder);

}  // namespace troupe::security
