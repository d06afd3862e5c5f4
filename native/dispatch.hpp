// Which variants were compiled and which of them this processor can run.
#pragma once

#include <string>
#include <vector>

#include "kernel.hpp"

namespace nescio {

std::vector<std::string> available_paths();  // the fastest first

// The variant of that name, or null if it is not available.
const Kernels* kernels_of(const std::string& path);

}  // namespace nescio
