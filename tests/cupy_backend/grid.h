// A cooperative launch on the host: every thread of every block is a fiber, which runs until it waits for others. Who
// goes next is drawn, so that whatever the barriers leave open happens in one order or another: anew each time for even
// seeds; for odd ones each thread draws its rank, and the first of those that can go on goes on, so that some fall far
// behind (Burckhardt et al., A randomized scheduler with probabilistic guarantees of finding bugs, 2010).
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __host__
#define __launch_bounds__(...)

static Place gridDim;

namespace grid {
const int STACK = 1 << 16;
struct Fiber {
    ucontext_t beginning;
    jmp_buf place;
    bool begun, done;
    int block, thread;
    long long rank;
    char* stack;
};
static Fiber *fibers, *current;
static int *ready, *waiting, readies, threads;
static char** memories;
static jmp_buf scheduler;
static unsigned long long luck, naps;
static bool ranked;
static long long last_rank;
static int changing;  // a thread's rank is drawn anew at one in so many barriers
static void (*kernel)(void*);
static void* arguments;

static unsigned draw(unsigned n) {
    luck = luck * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(luck >> 33) % n;
}

// Place in `ready` of who goes next.
static int next() {
    if (!ranked) return draw(readies);
    int best = 0;
    for (int i = 1; i < readies; ++i) {
        if (fibers[ready[i]].rank > fibers[ready[best]].rank) best = i;
    }
    return best;
}

static __attribute__((noinline)) void leave() {
    if (!_setjmp(current->place)) _longjmp(scheduler, 1);
}

static void begin() {
    kernel(arguments);
    current->done = true;
    leave();
}

static size_t bytes;
static char* shared() {
    const size_t size = bytes;
    char*& memory = memories[current->block];
    if (!memory) memory = (char*)memset(aligned_alloc(64, (size + 63) / 64 * 64), 0xab, size);
    return memory;
}

static __attribute__((noinline)) void enter(Fiber* fiber) {
    current = fiber;
    blockIdx.x = fiber->block;
    threadIdx.x = fiber->thread;
    if (_setjmp(scheduler)) return;
    if (fiber->begun) _longjmp(fiber->place, 1);
    fiber->begun = true;
    setcontext(&fiber->beginning);
}

// Gives 0, or 1 where everybody waits for somebody.
static int run(int blocks, int block, size_t size, unsigned long long seed, void (*function)(void*), void* given) {
    bytes = size, kernel = function, arguments = given, luck = seed, naps = 0, ranked = seed % 2, last_rank = 0, changing = 2 << seed / 2 % 4, threads = block, readies = 0;
    gridDim.x = blocks, blockDim.x = block;
    const int all = blocks * block;
    fibers = (Fiber*)calloc(all, sizeof(Fiber)), ready = (int*)calloc(all, sizeof(int));
    waiting = (int*)calloc(blocks, sizeof(int)), memories = (char**)calloc(blocks, sizeof(char*));
    for (int i = 0; i < all; ++i) {
        Fiber& own = fibers[i];
        own.rank = draw(1 << 30);
        own.block = i / block, own.thread = i % block, own.stack = (char*)malloc(STACK);
        getcontext(&own.beginning);
        own.beginning.uc_stack.ss_sp = own.stack, own.beginning.uc_stack.ss_size = STACK;
        makecontext(&own.beginning, begin, 0);
        ready[readies++] = i;
    }
    while (readies && naps < 1000000) {
        const int at = next(), who = ready[at];
        const unsigned long long before = naps;
        ready[at] = ready[--readies];
        enter(&fibers[who]);
        if (naps != before) {
            ready[readies++] = who;
            fibers[who].rank = --last_rank;
        } else {
            naps = 0;
            if (!fibers[who].done && waiting[fibers[who].block] == block) {
                waiting[fibers[who].block] = 0;
                for (int thread = 0; thread < block; ++thread) {
                    Fiber& own = fibers[ready[readies++] = fibers[who].block * block + thread];
                    if (own.rank < 0 || draw(changing) == 0) own.rank = draw(1 << 30);
                }
            }
        }
    }
    int stuck = 0;
    for (int i = 0; i < all; ++i) stuck |= !fibers[i].done, free(fibers[i].stack);
    for (int i = 0; i < blocks; ++i) free(memories[i]);
    free(fibers), free(ready), free(waiting), free(memories);
    return stuck;
}
}  // namespace grid

static void __syncthreads() {
    ++grid::waiting[grid::current->block];
    grid::leave();
}
static void __nanosleep(unsigned) {
    ++grid::naps;
    grid::leave();
}
static void __trap() {
    abort();
}
static void __threadfence() {}
template <class T>
static T atomicAdd(T* at, T more) {
    const T before = *at;
    *at += more;
    return before;
}
template <class T>
static T __ldcg(const T* at) {
    return *at;
}
