// What a captured step does around its arithmetic. Where the step is in its epoch, and where the epoch's data lie, is
// read from the device, so that one graph serves every step, every epoch and every data set.

typedef long long whole;
typedef unsigned long long address;

// out (batch, row) = rows order[counter, :] of the array that lies at bases[which]; bytes become numbers on the way.
#define GATHER(NAME, FROM, T)                                                                                       \
    extern "C" __global__ void gather_##NAME(T* out, const address* bases, const whole* order, const whole* counter, \
                                             whole which, whole batch, whole row) {                                 \
        const whole i = blockIdx.x * (whole)blockDim.x + threadIdx.x;                                               \
        if (i >= batch * row) return;                                                                               \
        const FROM* data = (const FROM*)bases[which];                                                               \
        out[i] = (T)data[order[*counter * batch + i / row] * row + i % row];                                        \
    }

GATHER(1, unsigned char, unsigned char)
GATHER(2, unsigned short, unsigned short)
GATHER(4, unsigned int, unsigned int)
GATHER(8, unsigned long long, unsigned long long)
GATHER(bytes_as_4, unsigned char, float)
GATHER(bytes_as_8, unsigned char, double)

// losses[counter, :] = loss; a single number also counts the step, for which `next_step` is there otherwise.
#define STORE(NAME, T)                                                                                         \
    extern "C" __global__ void store_##NAME(const T* loss, T* losses, whole* counter, whole size) {            \
        const whole i = blockIdx.x * (whole)blockDim.x + threadIdx.x;                                          \
        if (i >= size) return;                                                                                 \
        losses[*counter * size + i] = loss[i];                                                                 \
        if (size == 1) *counter += 1;                                                                          \
    }

STORE(4, unsigned int)
STORE(8, unsigned long long)

extern "C" __global__ void next_step(whole* counter) {
    *counter += 1;
}
