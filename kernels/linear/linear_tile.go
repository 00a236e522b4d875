package linear

// tile is the dot kernels of one format: columns in blocks, and by rows:
// rows[0] takes one row, rows[h] two runs of h; nil where there is none.
// Kernels for up to two rows that are apart know cs and ldc.
type tile struct {
	blocks int
	rows   []func(*dotArgs)
	apart  bool
}

// vector is the integer kernels of one instruction set.
type vector struct {
	i8, i6, i4, i4f way
	bf16            way
	epilogue        func(*epilogueArgs)
	wild            func(*wildArgs)
	groupEpilogue   func(*epilogueArgs) // I4F
	whole           func(*wholeArgs)    // I8 and A8, nil if there is none
}

// way is how weights of one format are multiplied.
type way struct {
	tiles  []tile         // for few rows first
	words  tile           // for a row as words, see row; empty: as planes
	expand func(*dotArgs) // to I8, for more rows than the tiles take; nil if they are as fast
	signed bool           // the tiles take bytes less 128
	panels func(*amxArgs) // in place of tiles: multiplies a panel of I8 or BF16, and expands the next one's codes meanwhile
}

// of returns the way of a format.
func (v *vector) of(f Format) *way {
	switch f {
	case I6:
		return &v.i6
	case I4:
		return &v.i4
	case I4F:
		return &v.i4f
	case BF16:
		return &v.bf16
	}
	return &v.i8
}

// maxRuns is the greatest h of a tile, 0 if it is empty.
func (t *tile) maxRuns() int {
	return max(len(t.rows)-1, 0)
}

// runs returns how a call covers the next of m rows: the kernel's h and the
// rows done.
func (t *tile) runs(m int, form ActForm) (h, done int) {
	if form == A16 {
		h = min(m, t.maxRuns())
		return h, h
	}
	if m == 1 && t.rows[0] != nil {
		return 0, 1
	}
	h = min((m+1)/2, t.maxRuns())
	return h, min(2*h, m)
}

// tile chooses by format and plane rows; with expand it wants the weights as I8.
func (v *vector) tile(f Format, planes int) (t *tile, expand func(*dotArgs)) {
	w := v.of(f)
	for i := range w.tiles {
		if t = &w.tiles[i]; planes <= max(2*t.maxRuns(), 1) {
			return t, nil
		}
	}
	if w.expand != nil {
		t = &v.i8.tiles[len(v.i8.tiles)-1]
	}
	return t, w.expand
}
