// The Python face: arrays come as buffers, work is done without the interpreter's lock.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>

#include "calls.hpp"
#include "dispatch.hpp"

namespace nb = nanobind;
using namespace nescio;

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

// The memory of an array for as long as this lives; of any strides if only read.
class Buffer {
  public:
    Buffer(nb::handle array, std::size_t item, int axes, bool writable) {
        const int flags =
            writable ? PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE : PyBUF_STRIDES;
        if (PyObject_GetBuffer(array.ptr(), &view, flags) != 0)
            throw nb::python_error();
        if (view.itemsize != static_cast<Py_ssize_t>(item) || view.ndim != axes) {
            PyBuffer_Release(&view);
            throw std::invalid_argument("an array of another type or shape");
        }
    }
    ~Buffer() { PyBuffer_Release(&view); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void expect(std::int64_t length, int axis = 0) const {
        if (view.shape[axis] != length)
            throw std::invalid_argument("an array of another length");
    }
    template <class Number>
    Number* as() const {
        return static_cast<Number*>(view.buf);
    }

    Py_buffer view{};
};

Rows rows_of(const Buffer& buffer, Element element) {
    const Py_buffer& view = buffer.view;
    return {static_cast<const unsigned char*>(view.buf), view.strides[0],
            view.strides[1], view.shape[0], view.shape[1], element};
}

Element element_of(int code) {
    if (code < 0 || code > 3) throw std::invalid_argument("an unknown element type");
    return static_cast<Element>(code);
}

std::size_t size_of(int code) {
    constexpr std::size_t sizes[] = {8, 4, 2, 2};
    return sizes[static_cast<int>(element_of(code))];
}

const Kernels& kernels_at(const std::string& path) {
    const Kernels* kernels = kernels_of(path);
    if (!kernels) throw std::invalid_argument("the path " + path + " is not available");
    return *kernels;
}

std::int64_t row_statistics_(const std::string& path, nb::handle logits, int element,
                             nb::handle targets, nb::handle powers, nb::handle moments,
                             nb::handle rank, nb::handle top_ids, nb::handle top_logp,
                             nb::handle log_powers, int threads) {
    const Kernels& kernels = kernels_at(path);
    const Buffer in(logits, size_of(element), 2, false);
    const Rows rows = rows_of(in, element_of(element));
    const Buffer wanted(targets, 8, 1, true), exponents(powers, 8, 1, true);
    const Buffer numbers(moments, 8, 2, true), ranks(rank, 8, 1, true);
    const Buffer ids(top_ids, 4, 2, true), best(top_logp, 8, 2, true);
    const Buffer sums(log_powers, 8, 2, true);
    const bool targeted = wanted.view.shape[0] > 0;
    const std::int64_t top = ids.view.shape[1], power_count = exponents.view.shape[0];
    if (targeted) wanted.expect(rows.count), ranks.expect(rows.count);
    numbers.expect(4), numbers.expect(rows.count, 1);
    ids.expect(rows.count), best.expect(rows.count), sums.expect(rows.count);
    best.expect(top, 1), sums.expect(power_count, 1);
    if (top > rows.vocab) throw std::invalid_argument("more than the vocabulary");
    double* const all = numbers.as<double>();
    const RowArrays arrays = {all,
                              all + rows.count,
                              all + 2 * rows.count,
                              all + 3 * rows.count,
                              ranks.as<std::int64_t>(),
                              ids.as<std::int32_t>(),
                              best.as<double>(),
                              sums.as<double>()};
    const RowsRequest request = {targeted ? wanted.as<std::int64_t>() : nullptr, top,
                                 exponents.as<double>(), power_count};
    nb::gil_scoped_release unlocked;
    return row_statistics(kernels, rows, request, arrays, threads);
}

std::int64_t pair_statistics_(const std::string& path, nb::handle p_logits,
                              int p_element, nb::handle q_logits, int q_element,
                              nb::handle targets, nb::handle divergences,
                              nb::handle same_top, int threads) {
    const Kernels& kernels = kernels_at(path);
    const Buffer p_in(p_logits, size_of(p_element), 2, false);
    const Buffer q_in(q_logits, size_of(q_element), 2, false);
    const Rows p = rows_of(p_in, element_of(p_element));
    const Rows q = rows_of(q_in, element_of(q_element));
    q_in.expect(p.count), q_in.expect(p.vocab, 1);
    const Buffer wanted(targets, 8, 1, true), numbers(divergences, 8, 2, true);
    const Buffer same(same_top, 1, 1, true);
    const bool targeted = wanted.view.shape[0] > 0;
    if (targeted) wanted.expect(p.count);
    numbers.expect(4), numbers.expect(p.count, 1), same.expect(p.count);
    double* const all = numbers.as<double>();
    const PairArrays arrays = {all, all + p.count, all + 2 * p.count,
                               all + 3 * p.count, same.as<bool>()};
    nb::gil_scoped_release unlocked;
    return pair_statistics(kernels, p, q,
                           targeted ? wanted.as<std::int64_t>() : nullptr, arrays,
                           threads);
}

std::int64_t draw_(const std::string& path, nb::handle logits, int element,
                   nb::handle settings, nb::handle uniforms, int levels,
                   nb::handle powers, nb::handle ids, nb::handle logp,
                   nb::handle log_powers, int threads) {
    const Kernels& kernels = kernels_at(path);
    const Buffer in(logits, size_of(element), 2, false);
    const Rows rows = rows_of(in, element_of(element));
    const Buffer numbers(settings, 8, 1, true), random(uniforms, 8, 2, true);
    const Buffer drawn(ids, 4, 1, true), logps(logp, 8, 1, true);
    numbers.expect(5), drawn.expect(rows.count);
    random.expect(rows.count), random.expect(levels, 1);
    logps.expect(rows.count);
    const Buffer exponents(powers, 8, 1, true), sums(log_powers, 8, 2, true);
    const std::int64_t power_count = exponents.view.shape[0];
    sums.expect(rows.count), sums.expect(power_count, 1);
    const double* at = numbers.as<double>();
    const Sampling sampling = {at[0], static_cast<std::int64_t>(at[1]), at[2], at[3],
                               at[4]};
    if (levels != 1 && levels != LEVELS)
        throw nb::value_error("a draw takes 1 uniform number a row, or one a level");
    const Uniforms all = {random.as<double>(), levels};
    nb::gil_scoped_release unlocked;
    return draw(kernels, rows, sampling, all,
                {drawn.as<std::int32_t>(), logps.as<double>(), exponents.as<double>(),
                 power_count, sums.as<double>()},
                threads);
}

std::int64_t process_(const std::string& path, nb::handle logits, int element,
                      nb::handle settings, nb::handle logp, int threads) {
    const Kernels& kernels = kernels_at(path);
    const Buffer in(logits, size_of(element), 2, false);
    const Rows rows = rows_of(in, element_of(element));
    const Buffer numbers(settings, 8, 1, true), out(logp, 8, 2, true);
    numbers.expect(5), out.expect(rows.count), out.expect(rows.vocab, 1);
    const double* at = numbers.as<double>();
    const Sampling sampling = {at[0], static_cast<std::int64_t>(at[1]), at[2], at[3],
                               at[4]};
    nb::gil_scoped_release unlocked;
    return process(kernels, rows, sampling, out.as<double>(), threads);
}

double read_(const std::string& path, nb::handle logits, int element, int threads) {
    const Kernels& kernels = kernels_at(path);
    const Buffer in(logits, size_of(element), 2, false);
    const Rows rows = rows_of(in, element_of(element));
    nb::gil_scoped_release unlocked;
    return read(kernels, rows, threads);
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "The compiled part of nescio; every function has a NumPy twin.";
    module.def("build_info", &build_info,
               "The compiler and the C++ standard of this build, e.g. "
               "'gcc 12.2.0, C++17'.");
    module.def("paths", &available_paths,
               "What this processor can run of what was compiled, fastest first.");
    module.def("row_statistics", &row_statistics_);
    module.def("pair_statistics", &pair_statistics_);
    module.def("draw", &draw_);
    module.def("process", &process_);
    module.def("read", &read_, "Sums all numbers up, to time how fast they are read.");
}
