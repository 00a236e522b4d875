//go:build purego || !amd64

package mem

func Transpose(t, rows []float32, r int) { transposeGeneric(t, rows, 0, r) }

func TransposeBF16(t []float32, rows []byte, r int) { transposeBF16Generic(t, rows, 0, r) }
