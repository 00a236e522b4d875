package mem

import (
	"encoding/binary"

	"qpt/internal/num"
)

// transposeGeneric sets t [k][16] from column k0 on to rows [r][k]; lanes from r on become 0.
func transposeGeneric(t, rows []float32, k0, r int) {
	clear(t[k0*16:])
	k := len(t) / 16
	for n := range r {
		for i := k0; i < k; i++ {
			t[i*16+n] = rows[n*k+i]
		}
	}
}

// transposeBF16Generic is transposeGeneric from little-endian bfloat16.
func transposeBF16Generic(t []float32, rows []byte, k0, r int) {
	clear(t[k0*16:])
	k := len(t) / 16
	for n := range r {
		for i := k0; i < k; i++ {
			t[i*16+n] = num.FromBF16(binary.LittleEndian.Uint16(rows[2*(n*k+i):]))
		}
	}
}
