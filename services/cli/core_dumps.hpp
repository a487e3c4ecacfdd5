#pragma once
// Whether a crash may leave the process's memory in a file.

namespace troupe::cli {

/// No core file from here on, of this process or its children: it would hold keys, prompts and answers in the clear.
/// A handler that the kernel pipes cores to decides for itself; systemd-coredump keeps to this limit.
void forbid_core_dumps();

}  // namespace troupe::cli
