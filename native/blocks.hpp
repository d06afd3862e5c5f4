// A row as blocks of contiguous columns, each a whole number of vectors long: read in
// place where it lies so, else copied into the first cache and filled up with -inf.
namespace nescio::NESCIO_VARIANT {

constexpr std::ptrdiff_t READ_AHEAD = 4096;  // bytes, a page
constexpr int GROUP = 64;  // columns between two looks at the top; whole vectors

// Asks for the memory some way ahead: what is computed between two reads keeps the
// processor from seeing far enough by itself. Beyond the array it does nothing.
inline void read_ahead(const unsigned char* at, std::ptrdiff_t bytes) {
#if defined(__GNUC__)
    const std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(at) + READ_AHEAD;
    for (std::ptrdiff_t line = 0; line < bytes; line += 64)
        __builtin_prefetch(reinterpret_cast<const void*>(ahead + line));
#else
    (void)at, (void)bytes;
#endif
}

template <class E>
struct Blocks {
    using Stored = typename E::Stored;
    static constexpr std::ptrdiff_t size = sizeof(Stored);

    const unsigned char* data;
    std::ptrdiff_t stride;
    std::int64_t vocab;
    alignas(64) Stored buffer[BLOCK];

    Blocks(const Rows& rows, std::int64_t row)
        : data(rows.data + row * rows.row_stride),
          stride(rows.column_stride),
          vocab(rows.vocab) {}

    // The columns from `from` on; sets how many there are with the filling.
    const unsigned char* at(std::int64_t from, int& columns) {
        const std::int64_t rest = vocab - from;
        const unsigned char* start = data + from * stride;
        columns = BLOCK;
        if (rest >= BLOCK && stride == size) return start;
        const int kept = static_cast<int>(rest < BLOCK ? rest : BLOCK);
        columns = (kept + GROUP - 1) / GROUP * GROUP;
        if (stride == size)
            std::memcpy(buffer, start, kept * size);
        else
            for (int i = 0; i < kept; ++i)
                buffer[i] = stored<Stored>(start + i * stride);
        for (int i = kept; i < columns; ++i) buffer[i] = E::impossible;
        return reinterpret_cast<const unsigned char*>(buffer);
    }

    double value(std::int64_t column) const { return E::read(data + column * stride); }
};

// The lane type in which logits of a type are compared and exponentiated.
template <class E>
struct Working {
    using Vector = Floats;
};
template <>
struct Working<Float64> {
    using Vector = Doubles;
};

// The largest number of the vector; none is NaN.
template <class V>
inline typename V::Lane largest_lane(V vector) {
    typename V::Lane lanes[V::width];
    vector.store(lanes);
    auto best = lanes[0];
    for (int i = 1; i < V::width; ++i)
        if (lanes[i] > best) best = lanes[i];
    return best;
}

template <class V>
inline double total(V vector) {
    typename V::Lane lanes[V::width];
    vector.store(lanes);
    double sum = 0;
    for (int i = 0; i < V::width; ++i) sum += lanes[i];
    return sum;
}

}  // namespace nescio::NESCIO_VARIANT
