//go:build !purego

package mem

import "qpt/internal/cpu"

// Transpose sets t [k][16] to r rows [r][k]; lanes from r on become 0. It is not inlined, here and below: the
// prologue is where the collector can stop a loop over calls.
//
//go:noinline
func Transpose(t, rows []float32, r int) {
	k := len(t) / 16
	if cpu.Active() < cpu.AVX2 || r < 16 || k < 16 {
		transposeGeneric(t, rows, 0, r)
		return
	}
	_ = rows[k*16-1]
	if cpu.Active() < cpu.AVX512 {
		for n := 0; n < 16; n += 8 {
			var p [8]*float32
			for i := range p {
				p[i] = &rows[(n+i)*k]
			}
			Transpose8AVX2(&t[n], &p, k/4, 64, 256)
		}
		transposeGeneric(t, rows, k&^3, 16)
		return
	}
	transposeAVX512(&t[0], &rows[0], k, k/16)
	transposeGeneric(t, rows, k&^15, 16)
}

// TransposeBF16 is Transpose from little-endian bfloat16.
//
//go:noinline
func TransposeBF16(t []float32, rows []byte, r int) {
	k := len(t) / 16
	if cpu.Active() < cpu.AVX2 || r < 16 || k < 16 {
		transposeBF16Generic(t, rows, 0, r)
		return
	}
	_ = rows[k*32-1]
	if cpu.Active() < cpu.AVX512 {
		for n := 0; n < 16; n += 8 {
			var p [8]*byte
			for i := range p {
				p[i] = &rows[(n+i)*k*2]
			}
			transpose8BF16AVX2(&t[n], &p, k/4)
		}
		transposeBF16Generic(t, rows, k&^3, 16)
		return
	}
	transposeBF16AVX512(&t[0], &rows[0], k, k/16)
	transposeBF16Generic(t, rows, k&^15, 16)
}

//go:noescape
func transposeAVX512(t, rows *float32, k, blocks int)

//go:noescape
func transposeBF16AVX512(t *float32, rows *byte, k, blocks int)

//go:noescape
func transpose8BF16AVX2(t *float32, rows *[8]*byte, n int)

// Transpose8AVX2 transposes 8 rows of 4n values: line k goes to t + k%4*class + k/4*line, in bytes.
//
//go:noescape
func Transpose8AVX2(t *float32, rows *[8]*float32, n, class, line int)
