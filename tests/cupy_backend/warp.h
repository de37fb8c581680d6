// Threads of a block that exchange numbers: each runs on a stack of its own until it must wait for the others.
#include <cstdlib>
#include <ucontext.h>

namespace warp {
constexpr int MOST = 32, STACK = 1 << 16;
struct Lane {
    ucontext_t context;
    bool done;
    char number[8];
};
static Lane lanes[MOST];
static char* stacks = new char[MOST * STACK];
static ucontext_t outside;
static int current;
static void (*call)(void*);
static void* own;

static void wait() { swapcontext(&lanes[current].context, &outside); }

static void lane() {
    call(own);
    lanes[current].done = true;
    wait();
}

// Give a number, and take that of the lane ``from``, when all have come as far.
template <class T> static T exchanged(T number, int from) {
    memcpy(lanes[current].number, &number, sizeof number);
    wait();
    T found;
    memcpy(&found, lanes[from].number, sizeof found);
    wait();
    return found;
}

static void run(int count, void (*which)(void*), void* with) {
    if (count > MOST) abort();
    call = which, own = with;
    memset(stacks, 0x7f, MOST * STACK);  // huge numbers, lest what is missing is right by chance
    for (int number = 0; number < count; ++number) {
        Lane& one = lanes[number];
        one.done = false;
        getcontext(&one.context);
        one.context.uc_stack.ss_sp = stacks + number * STACK;
        one.context.uc_stack.ss_size = STACK;
        makecontext(&one.context, lane, 0);
    }
    for (bool left = true; left;) {
        left = false;
        for (current = 0; current < count; ++current) {
            if (lanes[current].done) continue;
            left = true;
            threadIdx.x = current;
            swapcontext(&outside, &lanes[current].context);
        }
    }
}
}  // namespace warp

template <class T> static T __shfl_xor_sync(unsigned, T number, int distance) {
    return warp::exchanged(number, warp::current ^ distance);
}
template <class T> static T __shfl_sync(unsigned, T number, int from, int width) {
    return warp::exchanged(number, warp::current / width * width + from);
}
