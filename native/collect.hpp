// The largest logits of a row, collected while it is read: whatever exceeds the limit
// goes into a pool, and the pool is cut down to its best before it overflows.
namespace nescio::NESCIO_VARIANT {

inline NarrowEntry entry(float value, std::int64_t id) {
    std::uint32_t bits = bits_of_float(value + 0.0f);  // -0 becomes 0
    bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;    // now ordered like the numbers
    return static_cast<NarrowEntry>(bits) << 32 | (0xffffffffu - id);
}
inline WideEntry entry(double value, std::int64_t id) { return {value, id}; }

inline float value_of(NarrowEntry entry) {
    const std::uint32_t bits = static_cast<std::uint32_t>(entry >> 32);
    return float_of_bits(bits ^ (bits >> 31 ? 0x80000000u : 0xffffffffu));
}
inline double value_of(const WideEntry& entry) { return entry.value; }

inline std::int64_t id_of(NarrowEntry entry) {
    return 0xffffffffu - static_cast<std::uint32_t>(entry);
}
inline std::int64_t id_of(const WideEntry& entry) { return entry.id; }

inline int lowest_bit(unsigned bits) {  // not of 0
#if defined(__GNUC__)
    return __builtin_ctz(bits);
#else
    int place = 0;
    while (!(bits >> place & 1)) ++place;
    return place;
#endif
}

template <class Lane>
struct EntryOf {
    using Type = NarrowEntry;
};
template <>
struct EntryOf<double> {
    using Type = WideEntry;
};

template <class V>
struct Collector {
    using Lane = typename V::Lane;
    using Entry = typename EntryOf<Lane>::Type;

    Entry* pool;
    std::int64_t top;
    std::int64_t count = 0;
    Lane limit = HUGE_VAL;  // only what is larger can be among the best

    Collector(std::int64_t wanted, const Scratch& scratch)
        : pool(static_cast<Entry*>(scratch.pool)), top(wanted) {
        if (top > 0) limit = -HUGE_VAL;
    }

    // Adds those of GROUP columns that exceed the limit.
    template <class E>
    [[gnu::noinline]] void add(E, const unsigned char* columns, std::int64_t id) {
        if (count + GROUP > pool_size(top)) cut();
        const V bound = V::fill(limit);
        for (int i = 0; i < GROUP; i += V::width) {
            const V vector = V::load(E(), columns + i * sizeof(typename E::Stored));
            Lane lanes[V::width];
            unsigned found = bits(above(vector, bound));
            if (found != 0) vector.store(lanes);
            for (; found != 0; found &= found - 1) {
                const int lane = lowest_bit(found);
                pool[count++] = entry(lanes[lane], id + i + lane);
            }
        }
    }

    void cut() {
        if (count <= top) return;
        keep_best(pool, count, top);
        count = top;
        limit = value_of(pool[top - 1]);
    }

    void cut_if_worth_it() {
        if (count >= top + 32 + top / 2) cut();
    }

    // Sorts what was collected; fills up with the lowest ids that are impossible.
    template <class E>
    void finish(const Blocks<E>& row, std::int32_t* ids) {
        cut();
        sort_best(pool, count);
        for (std::int64_t i = 0; i < count; ++i)
            ids[i] = static_cast<std::int32_t>(id_of(pool[i]));
        std::int64_t filled = count;
        for (std::int64_t id = 0; filled < top; ++id)
            if (row.value(id) == -HUGE_VAL)
                ids[filled++] = static_cast<std::int32_t>(id);
    }
};

constexpr std::int64_t FIRST_LOOK = 4 * BLOCK;

// The largest number of the first columns; and if the collector wants any, a limit that
// few of them exceed: the top-th largest of the maxima of disjoint groups of columns
// cannot exceed the top-th largest column.
template <class V, class E>
inline typename V::Lane first_look(Blocks<E>& row, Collector<V>& best) {
    using Lane = typename V::Lane;
    constexpr int most = 32;
    int groups = 4;
    while (groups < most && groups * V::width < 3 * best.top) groups *= 2;
    V maxima[most];
    for (int i = 0; i < groups; ++i) maxima[i] = V::fill(-HUGE_VAL);
    for (std::int64_t from = 0; from < row.vocab && from < FIRST_LOOK; from += BLOCK) {
        int columns;
        const unsigned char* at = row.at(from, columns);
        for (int i = 0; i < columns; i += GROUP) {
            read_ahead(at + i * Blocks<E>::size, GROUP * Blocks<E>::size);
            for (int j = i; j < i + GROUP; j += V::width) {
                V& group = maxima[j / V::width % groups];
                group = larger(V::load(E(), at + j * Blocks<E>::size), group);
            }
        }
    }
    V peak = maxima[0];
    Lane numbers[most * V::width];
    for (int i = 0; i < groups; ++i) {
        peak = larger(maxima[i], peak);
        maxima[i].store(numbers + i * V::width);
    }
    if (best.top > 0 && best.top <= groups * V::width) {
        const Lane bound = nth_largest(numbers, groups * V::width, best.top);
        if (bound > -HUGE_VAL) best.limit = std::nextafter(bound, Lane(-HUGE_VAL));
    }
    return largest_lane(peak);
}

}  // namespace nescio::NESCIO_VARIANT
