// CUDA C as C++: a kernel becomes a function that is called once a thread.
#include <cmath>
using namespace std;
struct Place { int x; };
static thread_local Place blockIdx, blockDim, threadIdx;
#define __global__
