/* A body of thimble_root_s16.c, for cores with a floating-point unit. */
#ifndef THIMBLE_ROOT_S16_FPU_H
#define THIMBLE_ROOT_S16_FPU_H

static inline float square_root(float x)
{
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
}

#endif
