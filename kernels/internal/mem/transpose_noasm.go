//go:build purego || !amd64

package mem

// Transpose sets t [k][16] to r rows [r][k]; lanes from r on become 0.
func Transpose(t, rows []float32, r int) { transposeGeneric(t, rows, 0, r) }

// TransposeBF16 is Transpose from little-endian bfloat16.
func TransposeBF16(t []float32, rows []byte, r int) { transposeBF16Generic(t, rows, 0, r) }
