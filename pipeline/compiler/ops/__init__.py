"""The operators: one file each, with its checks, its exact semantics, its lowering and its kernels."""
