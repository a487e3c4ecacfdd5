#include "services/decode/decode_service.hpp"

namespace troupe::decode {

worker::WorkerSetup setup() {
  worker::WorkerSetup out;
  out.options.role = wire::Role::decode;
  out.role_name = "decode";
  return out;
}

}  // namespace troupe::decode
