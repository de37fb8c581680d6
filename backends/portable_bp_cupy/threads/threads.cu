// What a thread that trains a member has to begin with.

typedef long long whole;

// log(1 + x) without a branch, within one unit in the last place. CUDA's own branches, so that a thread would wait for
// one number of a row after the other, where it could work on all of them. 1 + x = 2^k (1 + m) with m between -1/4 and
// 1/2; `power` is k in the place of a float's exponent; log(1 + m) = m + m^2 q(m), q fitted for the smallest largest
// relative error.
__device__ float log1p_straight(float x) {
    const int power = (__float_as_int(1.0f + x) - 0x3f400000) & 0xff800000;
    const float m = __int_as_float(__float_as_int(x) - power) + fma(0.25f, __int_as_float(0x40800000 - power), -1.0f);
    float q = -0x1.6fe646p-5f;
    q = fma(q, m, 0x1.abf6b2p-4f);
    q = fma(q, m, -0x1.0d9002p-3f);
    q = fma(q, m, 0x1.2897b6p-3f);
    q = fma(q, m, -0x1.54f23ep-3f);
    q = fma(q, m, 0x1.99685ap-3f);
    q = fma(q, m, -0x1.000024p-2f);
    q = fma(q, m, 0x1.5555a6p-2f);
    q = fma(q, m, -0.5f);
    const float y = fma((float)power, 0x1.62e43p-24f, fma(m * m, q, m));  // log(2) / 2^23
    const float infinity = 1.0f / 0.0f, at_the_end = x == -1.0f ? -infinity : x < -1.0f ? 0.0f / 0.0f : x;
    return x > -1.0f && x < infinity ? y : at_the_end;
}
