//go:build purego || !amd64

package linear

func shorts(a *shortArgs) { shortsGeneric(a) }

func roundShorts(dst []int16, x []float32, inv float32) { roundShortsGeneric(dst, x, inv) }
