// The pass over a row: largest logit, sums of exponentials and their moments, rank and
// top, block by block. The reference of the exponentials is the largest logit so far;
// where a block exceeds it the block's sums are taken again, from the cache.
namespace nescio::NESCIO_VARIANT {

constexpr int STEP = 2;  // vectors whose exponentials are taken together

// Columns whose sums stay in the lanes' own precision: sixteen additions a lane, so
// that rounding does not add up.
template <class V>
constexpr int stretch = 16 * V::width > GROUP ? 16 * V::width : GROUP;

// Sums of w, w d and w d^2 where d = logit - reference and w = exp(d).
template <class V>
struct Moments {
    Doubles zeroth = Doubles::fill(0), first = zeroth, second = zeroth;

    void rescale(double shift) {  // to a reference that is larger by -shift
        const double factor = std::exp(shift);
        if (factor == 0) {
            *this = Moments();
            return;
        }
        const Doubles scale = Doubles::fill(factor), step = Doubles::fill(shift);
        second = scale * fma(step, fma(step, zeroth, first + first), second);
        first = scale * fma(step, zeroth, first);
        zeroth = scale * zeroth;
    }

    struct Part {
        V zeroth = V::fill(0), first = zeroth, second = zeroth;
        template <int vectors, bool unit>
        void add(const V (&d)[vectors], const Exponential<V, unit>& exponential) {
            V weight[vectors];
            exponential(d, weight);
            for (int j = 0; j < vectors; ++j) {
                zeroth = zeroth + weight[j];
                if constexpr (V::masked) {  // leaves 0 -inf out, which is NaN
                    const auto vanished = exponential.vanishes(d[j]);
                    const V part = product_unless(vanished, weight[j], d[j]);
                    first = first + part;
                    second = fma_unless(vanished, part, d[j], second);
                } else {
                    const V finite = exponential.clamped(d[j]);
                    const V part = weight[j] * finite;
                    first = first + part;
                    second = fma(part, finite, second);
                }
            }
        }
    };

    void add(const Part& part) {
        zeroth = zeroth + wide_sum(part.zeroth);
        first = first + wide_sum(part.first);
        second = second + wide_sum(part.second);
    }
    void add(const Moments& block) {
        zeroth = zeroth + block.zeroth;
        first = first + block.first;
        second = second + block.second;
    }
};

// The sum of w alone.
template <class V>
struct Mass {
    Doubles zeroth = Doubles::fill(0);

    void rescale(double shift) {
        zeroth = Doubles::fill(std::exp(shift)) * zeroth;
    }

    struct Part {
        V zeroth = V::fill(0);
        template <int vectors, bool unit>
        void add(const V (&d)[vectors], const Exponential<V, unit>& exponential) {
            V weight[vectors];
            exponential(d, weight);
            for (int j = 0; j < vectors; ++j) zeroth = zeroth + weight[j];
        }
    };

    void add(const Part& part) { zeroth = zeroth + wide_sum(part.zeroth); }
    void add(const Mass& block) { zeroth = zeroth + block.zeroth; }
};

// What a scan looks for besides the sums.
template <class V>
struct Watch {
    Collector<V>& best;
    typename V::Lane target;  // counts what is larger; +inf for nothing
    std::int64_t larger_count = 0;
};

template <class V, class E, class Sums, bool unit>
inline void sum_block(const unsigned char* at, int columns, typename V::Lane reference,
                      const Exponential<V, unit>& exponential, Sums& block) {
    const V origin = V::fill(reference);
    for (int start = 0; start < columns; start += stretch<V>) {
        const int end = start + stretch<V> < columns ? start + stretch<V> : columns;
        typename Sums::Part part;
        for (int i = start; i < end; i += STEP * V::width) {
            V d[STEP];
            for (int j = 0; j < STEP; ++j)
                d[j] = V::load(E(), at + (i + j * V::width) * Blocks<E>::size) - origin;
            part.add(d, exponential);
        }
        block.add(part);
    }
}

// The same while watching; returns the block's largest number.
template <class V, class E, bool watching, class Sums, bool unit>
inline typename V::Lane look_at_block(const unsigned char* at, int columns,
                                      typename V::Lane reference, std::int64_t from,
                                      const Exponential<V, unit>& exponential,
                                      Sums& block,
                                      Watch<V>& watch) {
    constexpr int vectors = GROUP / V::width;
    const V origin = V::fill(reference), target = V::fill(watch.target);
    const V limit = V::fill(watch.best.limit);
    V peak = V::fill(-HUGE_VAL);
    std::int64_t larger_count = 0;
    std::uint32_t remarkable = 0;  // groups of which some exceed the limit, as bits
    static_assert(BLOCK / GROUP <= 32, "a bit for every group");
    for (int start = 0; start < columns; start += stretch<V>) {
        const int end = start + stretch<V> < columns ? start + stretch<V> : columns;
        typename Sums::Part part;
        for (int i = start; i < end; i += GROUP) {
            const unsigned char* group = at + i * Blocks<E>::size;
            V highest = V::fill(-HUGE_VAL);
            read_ahead(group, GROUP * Blocks<E>::size);
            for (int j = 0; j < vectors; j += STEP) {
                V d[STEP];
                for (int k = 0; k < STEP; ++k) {
                    const V x =
                        V::load(E(), group + (j + k) * V::width * Blocks<E>::size);
                    highest = larger(x, highest);
                    if constexpr (watching) larger_count += count(above(x, target));
                    d[k] = x - origin;
                }
                part.add(d, exponential);
            }
            peak = larger(highest, peak);
            if constexpr (watching)
                if (any(above(highest, limit))) remarkable |= 1u << i / GROUP;
        }
        block.add(part);
    }
    watch.larger_count += larger_count;
    for (; remarkable != 0; remarkable &= remarkable - 1) {
        const int start = lowest_bit(remarkable) * GROUP;
        watch.best.add(E(), at + start * Blocks<E>::size, from + start);
    }
    return largest_lane(peak);
}

// Scans a row. `each` is told every block's number, sums and reference. Returns the
// largest logit; NaN spoils the sums and +inf is returned, see `is_distribution`.
template <class V, class E, bool watching, class Sums, class Each, bool unit>
inline typename V::Lane scan(Blocks<E>& row, const Exponential<V, unit>& exponential,
                             double scale, Sums& sums, Watch<V>& watch, Each each) {
    using Lane = typename V::Lane;
    Lane peak = first_look(row, watch.best);
    Lane reference = peak > -HUGE_VAL ? peak : 0;  // -inf - 0 is -inf, and no NaN
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        int columns;
        const unsigned char* at = row.at(from, columns);
        Sums block;
        const Lane highest = look_at_block<V, E, watching>(
            at, columns, reference, from, exponential, block, watch);
        if (highest > peak) {
            if (peak > -HUGE_VAL)
                sums.rescale((static_cast<double>(peak) - highest) * scale);
            peak = reference = highest;
            block = Sums();
            sum_block<V, E>(at, columns, reference, exponential, block);
        }
        sums.add(block);
        if constexpr (watching) watch.best.cut_if_worth_it();
        each(from / BLOCK, block, static_cast<double>(reference));
    }
    return peak;
}

inline bool is_distribution(double peak, double sum) {
    return peak < HUGE_VAL && peak > -HUGE_VAL && sum == sum;
}

}  // namespace nescio::NESCIO_VARIANT
