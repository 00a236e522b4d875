module qpt/kernels/_gen

go 1.26
