//go:build !purego

package linear

import (
	"qpt/internal/cpu"
	"qpt/kernels/internal/mem"
)

// Transpose sets t[k*ld+i] to rows[i][k]; all rows have one length. It is not inlined: its prologue is where the collector can stop a loop.
//
//go:noinline
func Transpose(t []float32, ld int, rows [][]float32) {
	i := 0
	if cpu.Active() >= cpu.AVX2 && len(rows) >= 8 && len(rows[0]) >= 4 {
		k := len(rows[0])
		_ = t[(k-1)*ld+len(rows)-1]
		for ; i+8 <= len(rows); i += 8 {
			var p [8]*float32
			for j, row := range rows[i : i+8] {
				p[j] = &row[:k][0]
				for l := k &^ 3; l < k; l++ {
					t[l*ld+i+j] = row[l]
				}
			}
			mem.Transpose8AVX2(&t[i], &p, k/4, 4*ld, 16*ld)
		}
	}
	transposeRows(t, ld, rows, i)
}
