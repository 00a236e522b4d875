//go:build purego || !amd64

package kernels

func transpose(t, rows []float32, r int)            { transposeGeneric(t, rows, 0, r) }
func transposeBF16(t []float32, rows []byte, r int) { transposeBF16Generic(t, rows, 0, r) }
func spans(t []float32, group int, lo, hi []lanes)  { spansGeneric(t, group, lo, hi) }
func trials(t, imp []float32, pair *[2]trial)       { trialsGeneric(t, imp, pair) }
func searchGroups(a *groupSearch)                   { searchGeneric(a) }
func encodeGroups(e *encoding)                      { encodeGroupsGeneric(e) }
func encodeI8(e *encoding)                          { encodeI8Generic(e) }
