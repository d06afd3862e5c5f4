// The native part of nescio: what it was built with.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

namespace nb = nanobind;

namespace {

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#elif defined(_MSC_VER)
    return "msvc " + std::to_string(_MSC_FULL_VER);
#else
    return "an unknown compiler";
#endif
}

long standard() {
#if defined(_MSVC_LANG)
    return _MSVC_LANG;
#else
    return __cplusplus;
#endif
}

std::string build_info() {
    return compiler() + ", C++" + std::to_string(standard() / 100 % 100);
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "The compiled part of nescio; every function has a NumPy twin.";
    module.def("build_info", &build_info,
               "The compiler and the C++ standard of this build, e.g. "
               "'gcc 12.2.0, C++17'.");
}
