// What the kernel for whole epochs is made of: a barrier of the grid, and products by tiles.
//
// THREADS is the number of threads of a block. Control flow is the same for all threads of a block throughout.

typedef long long whole;
typedef unsigned long long tickets;

// After so many looks, many seconds, somebody will never come: an error is better than to wait for ever.
constexpr unsigned MOST_LOOKS = 1u << 26;

// Waits until all blocks are here; what they have written before can be read behind it. `arrived` only grows, and
// `goal` says how many arrivals this barrier takes. All blocks must be resident, as a cooperative launch sees to.
__device__ inline void barrier(tickets* arrived, tickets& goal) {
    __syncthreads();
    if (gridDim.x == 1) return;
    goal += gridDim.x;
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(arrived, (tickets)1);
        for (unsigned looks = 0; *(volatile tickets*)arrived < goal; ++looks) {
            __nanosleep(8);
            if (looks == MOST_LOOKS) __trap();
        }
        __threadfence();
    }
    __syncthreads();
}

// Brings V numbers that lie side by side into shared memory. What was asked for up to an `end_of_part` is there behind
// `fetched`, but for the latest PENDING parts.
template <int V, class T>
__device__ inline void fetch(T* to, const T* from) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    const unsigned at = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(at), "l"(from), "n"(V * sizeof(T)) : "memory");
#else
#pragma unroll
    for (int v = 0; v < V; ++v) to[v] = from[v];
#endif
}

__device__ inline void end_of_part() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int PENDING>
__device__ inline void fetched() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

template <class T>
struct alignas(16) Four {
    T at[4];
};

// Numbers from one line of a tile in shared memory to the next: lines begin at an odd number of 16 bytes from each
// other, so that eight threads that read eight lines use all banks.
template <class T>
__host__ __device__ constexpr int pitch(int length) {
    return (((length * (int)sizeof(T) + 15) / 16) | 1) * 16 / (int)sizeof(T);
}

// One operand's part of a tile: EDGE rows (or columns) by DEPTH of the numbers that are multiplied and summed. In
// shared memory it lies as in global memory: ALONG means that the summed index runs along the lines. V: numbers
// fetched at once.
template <class T, int EDGE, int DEPTH, bool ALONG, int V>
struct Part {
    static constexpr int LINES = ALONG ? EDGE : DEPTH, LENGTH = ALONG ? DEPTH : EDGE, PITCH = pitch<T>(LENGTH);
    static constexpr int SIZE = LINES * PITCH;
    static constexpr int APART = ALONG ? EDGE / 4 : 1;  // between the four rows of a thread

    // get(to, edge, depth) fetches; outside of edge < edges, depth < depths there are zeros.
    template <class Get>
    static __device__ void fill(T* tile, int edge, int edges, int depth, int depths, Get get) {
#pragma unroll 4
        for (int n = threadIdx.x; n < LINES * (LENGTH / V); n += THREADS) {
            const int line = n / (LENGTH / V), along = n % (LENGTH / V) * V;
            const int e = edge + (ALONG ? line : along), d = depth + (ALONG ? along : line);
            T* const to = tile + line * PITCH + along;
            if (e < edges && d < depths) {
                get(to, e, d);
            } else {
#pragma unroll
                for (int v = 0; v < V; ++v) to[v] = 0;
            }
        }
    }

    // The first of the four rows of a thread that is number `n` along this edge, and the others.
    static __device__ int row(int n, int i) {
        return ALONG ? n + i * APART : 4 * n + i;
    }

    // x[i][k] = numbers of the thread's rows i at depths 4 quad + k.
    static __device__ void read(T (&x)[4][4], const T* tile, int n, int quad) {
#pragma unroll
        for (int line = 0; line < 4; ++line) {
            const int at = ALONG ? row(n, line) * PITCH + 4 * quad : (4 * quad + line) * PITCH + 4 * n;
            const Four<T> four = *(const Four<T>*)(tile + at);
#pragma unroll
            for (int along = 0; along < 4; ++along) (ALONG ? x[line][along] : x[along][line]) = four.at[along];
        }
    }
};

// One tile of a product: rows m0 .. m0+TM (below m1) and columns n0 .. n0+TN (below n1), summed over k0 .. k1, by the
// whole block. Each thread has four by four sums; where that leaves threads over, each set of them takes every SETS-th
// four of the depths, and the sets' sums are added in their order, so the result is always the same.
// The depths come in parts of DEPTH, of which STAGES have room; with STAGES 1 there is but one part.
// a(to, m, k) and b(to, n, k) fetch numbers of the operands; end(m, n, where in the tile, sum) takes the results.
template <class T, int TM, int TN, int DEPTH, int STAGES, bool ALONG_A, int VA, bool ALONG_B, int VB, class A, class B, class End>
__device__ inline void product(char* memory, int m0, int m1, int n0, int n1, int k0, int k1, A a, B b, End end) {
    using Left = Part<T, TM, DEPTH, ALONG_A, VA>;
    using Right = Part<T, TN, DEPTH, ALONG_B, VB>;
    constexpr int ACROSS = TN / 4, DOWN = TM / 4, SETS = THREADS / (ACROSS * DOWN), BOTH = Left::SIZE + Right::SIZE;
    constexpr int AHEAD = STAGES > 1 ? STAGES - 1 : 1;
    static_assert(SETS * ACROSS * DOWN == THREADS, "a tile takes a power of two of threads");
    T* const shared = (T*)memory;
    const int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS % DOWN, set = threadIdx.x / (ACROSS * DOWN);
    T sums[4][4] = {};
    const auto ask = [&](int part) {
        const int k = k0 + part * DEPTH;
        T* const to = shared + part % STAGES * BOTH;
        if (k < k1) Left::fill(to, m0, m1, k, k1, a);
        if (k < k1) Right::fill(to + Left::SIZE, n0, n1, k, k1, b);
        end_of_part();
    };
    for (int part = 0; part < AHEAD; ++part) ask(part);
    for (int part = 0; k0 + part * DEPTH < k1; ++part) {
        fetched<AHEAD - 1>();
        __syncthreads();
        if (STAGES > 1) ask(part + AHEAD);  // where the last part was, which everybody is done with
        const T* const left = shared + part % STAGES * BOTH;
        const T* const right = left + Left::SIZE;
#pragma unroll 2
        for (int quad = set; quad < DEPTH / 4; quad += SETS) {
            T x[4][4], y[4][4];
            Left::read(x, left, down, quad);
            Right::read(y, right, across, quad);
#pragma unroll
            for (int d = 0; d < 4; ++d)
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j) sums[i][j] = fma(x[i][d], y[j][d], sums[i][j]);
        }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
            shared[set * TM * TN + Left::row(down, i) * TN + Right::row(across, j)] = sums[i][j];
    __syncthreads();
    for (int n = threadIdx.x; n < TM * TN; n += THREADS) {
        T sum = shared[n];
        for (int other = 1; other < SETS; ++other) sum += shared[other * TM * TN + n];
        if (m0 + n / TN < m1 && n0 + n % TN < n1) end(m0 + n / TN, n0 + n % TN, n, sum);
    }
    __syncthreads();
}

// Whether this block is the last of `blocks` to come here; what the others have written before can then be read. It
// comes behind a product, whose end is a barrier of the block.
__device__ inline bool last_of(tickets* arrived, int blocks, char* memory) {
    if (threadIdx.x == 0) {
        __threadfence();
        const bool last = atomicAdd(arrived, (tickets)1) == (tickets)blocks - 1;
        __threadfence();
        if (last) *arrived = 0;  // nobody comes before the next step
        *(int*)memory = last;
    }
    __syncthreads();
    const bool last = *(int*)memory == 1;
    __syncthreads();
    return last;
}

// A tile whose depths were shared among SPLITS blocks: the last of them adds up the parts, in their order.
template <class T, int TM, int TN, int SPLITS, class End>
__device__ inline void together(const T* parts, int m0, int m1, int n0, int n1, End end) {
    for (int n = threadIdx.x; n < TM * TN; n += THREADS) {
        if (m0 + n / TN >= m1 || n0 + n % TN >= n1) continue;
        T sum = __ldcg(parts + n);
#pragma unroll
        for (int split = 1; split < SPLITS; ++split) sum += __ldcg(parts + split * TM * TN + n);
        end(m0 + n / TN, n0 + n % TN, n, sum);
    }
}
