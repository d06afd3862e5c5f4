// Row statistics of one row.
namespace nescio::NESCIO_VARIANT {

template <class E>
bool row_statistics(const Rows& rows, std::int64_t index, const RowRequest& request,
                    const Scratch& scratch, RowAnswer& answer) {
    using V = typename Working<E>::Vector;
    using Lane = typename V::Lane;
    Blocks<E> row(rows, index);
    Collector<V> best(request.top, scratch);
    const double target = request.target < 0 ? HUGE_VAL : row.value(request.target);
    Watch<V> watch{best, static_cast<Lane>(target)};
    Moments<V> sums;
    const Exponential<V, true> exponential;
    const double peak = scan<V, E, true>(row, exponential, 1.0, sums, watch,
                                         [](std::int64_t, const auto&, double) {});
    const double zeroth = total(sums.zeroth), first = total(sums.first);
    const double second = total(sums.second);
    if (!is_distribution(peak, zeroth + first + second)) return false;
    const double log_sum = std::log(zeroth), mean = first / zeroth;
    const double most = std::log(static_cast<double>(rows.vocab));
    const double entropy = log_sum - mean, spread = second / zeroth - mean * mean;
    answer.logsumexp = peak + log_sum;
    answer.entropy = entropy < most ? entropy : most;
    answer.varentropy = spread > 0 ? spread : 0;
    answer.logp = (target - peak) - log_sum;
    answer.rank = 1 + watch.larger_count;
    if (request.top > 0) best.finish(row, answer.top_ids);
    for (std::int64_t i = 0; i < request.top; ++i)
        answer.top_logp[i] = (row.value(answer.top_ids[i]) - peak) - log_sum;
    if (request.powers->count > 0)
        power_sums<E>(rows, index, 1.0, peak, *request.powers, answer.log_powers);
    return true;
}

template <class E>
double read_row(const Rows& rows, std::int64_t index) {
    using V = typename Working<E>::Vector;
    Blocks<E> row(rows, index);
    V sums[4] = {V::fill(0), V::fill(0), V::fill(0), V::fill(0)};
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        int columns;
        const unsigned char* at = row.at(from, columns);
        for (int i = 0; i < columns; i += 4 * V::width)
            for (int j = 0; j < 4; ++j) {
                const int start = i + j * V::width;
                sums[j] = sums[j] + V::load(E(), at + start * Blocks<E>::size);
            }
    }
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace nescio::NESCIO_VARIANT
