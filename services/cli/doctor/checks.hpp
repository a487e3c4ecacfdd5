#pragma once
// Every check of `troupe doctor`. Each is pure over the machine it is shown and answers at least one finding
// where it applies, none where it does not. A new one is a function here and a line in examine().
#include "services/cli/doctor/finding.hpp"
#include "services/cli/doctor/machine.hpp"
#include "services/cli/doctor/subject.hpp"

namespace troupe::cli::doctor {

// The machine: machine_checks.cpp
[[nodiscard]] Findings check_version(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_cpu(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_cores(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_huge_pages(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_shared_memory(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_descriptors(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_clock(const Subjects& subjects, const Machine& machine);

// What is stored: storage_checks.cpp
[[nodiscard]] Findings check_models(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_memory(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_disk_tier(const Subjects& subjects, const Machine& machine);

// What is reached: network_checks.cpp
[[nodiscard]] Findings check_ports(const Subjects& subjects, const Machine& machine);
[[nodiscard]] Findings check_directory(const Subjects& subjects, const Machine& machine);

/// All of them, in the order they are shown.
[[nodiscard]] Findings examine(const Subjects& subjects, const Machine& machine);

}  // namespace troupe::cli::doctor
