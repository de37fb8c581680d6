// CUDA C as C++: a kernel becomes a function that is called once a thread.
#include <cmath>
#include <cstring>
using namespace std;
struct Place { int x; };
static thread_local Place blockIdx, blockDim, threadIdx;
#define __global__
#define __device__ static
static int __float_as_int(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
static float __int_as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
