// The body of one variant: a file defines NESCIO_VARIANT, the name of its namespace,
// includes its vectors and then this. Standard containers and algorithms stay out: the
// linker would merge their functions with those of files for any processor.
#include "blocks.hpp"
#include "exponential.hpp"
#include "collect.hpp"
#include "scan.hpp"
#include "power_sums.hpp"
#include "rows.hpp"
#include "sums.hpp"
#include "pairs.hpp"

namespace nescio::NESCIO_VARIANT {

// Calls `body` with the type of the elements.
template <class Body>
inline auto with_element(Element element, Body body) {
    switch (element) {
        case Element::float64: return body(Float64());
        case Element::float32: return body(Float32());
        case Element::float16: return body(Float16());
        default: return body(Bfloat16());
    }
}

extern const Kernels kernels;
const Kernels kernels = {
    [](const Rows& rows, std::int64_t row, const RowRequest& request,
       const Scratch& scratch, RowAnswer& answer) {
        return with_element(rows.element, [&](auto e) {
            return row_statistics<decltype(e)>(rows, row, request, scratch, answer);
        });
    },
    [](const Rows& rows, std::int64_t row, Normaliser& found) {
        return with_element(rows.element, [&](auto e) {
            return normaliser<decltype(e)>(rows, row, found);
        });
    },
    [](const Rows& p, const Rows& q, std::int64_t row, const Normaliser& p_side,
       const Normaliser& q_side, PairAnswer& answer) {
        with_element(p.element, [&](auto e) {
            with_element(q.element, [&](auto f) {
                divergences<decltype(e), decltype(f)>(p, q, row, p_side, q_side,
                                                      answer);
            });
        });
    },
    [](const Rows& rows, std::int64_t row, std::int64_t top, const Scratch& scratch,
       std::int32_t* ids, double& peak) {
        return with_element(rows.element, [&](auto e) {
            return top_of<decltype(e)>(rows, row, top, scratch, ids, peak);
        });
    },
    [](const Rows& rows, std::int64_t row, double& peak, std::int64_t& id) {
        return with_element(rows.element, [&](auto e) {
            return peak_of<decltype(e)>(rows, row, peak, id);
        });
    },
    [](const Rows& rows, std::int64_t row, double temperature, double* sums,
       double& peak) {
        return with_element(rows.element, [&](auto e) {
            return block_sums<decltype(e)>(rows, row, temperature, sums, peak);
        });
    },
    [](const Rows& rows, std::int64_t row, std::int64_t from, double temperature,
       double peak, double* found) {
        with_element(rows.element, [&](auto e) {
            weights<decltype(e)>(rows, row, from, temperature, peak, found);
        });
    },
    [](const Rows& rows, std::int64_t row, std::int64_t from, double temperature,
       double peak, double* found, double* weights) {
        with_element(rows.element, [&](auto e) {
            scores<decltype(e)>(rows, row, from, temperature, peak, found, weights);
        });
    },
    [](const Rows& rows, std::int64_t row, double temperature, double peak,
       double& total, double& moment) {
        with_element(rows.element, [&](auto e) {
            score_sums<decltype(e)>(rows, row, temperature, peak, total, moment);
        });
    },
    [](const Rows& rows, std::int64_t row, double temperature, double peak,
       const Powers& powers, double* found) {
        with_element(rows.element, [&](auto e) {
            power_sums<decltype(e)>(rows, row, temperature, peak, powers, found);
        });
    },
    [](const Rows& rows, std::int64_t row, std::int64_t id) {
        return with_element(rows.element, [&](auto e) {
            return value_at<decltype(e)>(rows, row, id);
        });
    },
    [](const Rows& rows, std::int64_t row) {
        return with_element(rows.element,
                            [&](auto e) { return read_row<decltype(e)>(rows, row); });
    },
};

}  // namespace nescio::NESCIO_VARIANT
