package linear

// dotArgs is what dot and expand kernels take; one struct, so that a table can
// hold them and nothing is allocated for a call. A kernel reads what it needs.
type dotArgs struct {
	// The sums [2h][blocks][16], the first run's rows first; for I4F
	// [G][2h+1][blocks][16], the last row being the sums of weights.
	c       *int32
	cs, ldc int // bytes from block to block and row to row, where a call does several tiles

	// Inputs: two runs of h rows.
	a0, a1 *byte // the first row of each
	lda    int   // bytes from row to row
	h      int
	sums   *int16 // of bytes less 128: the sums of each size k of both rows, [steps][2][2]
	size   int

	// Weights: blocks of columns.
	w  *byte // the first
	ws int   // bytes from block to block, 0 to repeat one
	k  int   // Kp
	// For kernels of more than two rows: weights of the strip to come, of which they fetch a line of each block in 16 k; nil for none.
	fetch *byte

	// Grouped formats.
	g     *byte // group bytes
	gs    int   // bytes from block to block
	steps int   // of 8 k (of size, with sums) that groups cover
	group int   // steps in a group
	dst   *byte // where expand writes

	// A call does so many tiles, one after the other.
	times        int
	nextw, nextg int // bytes from a block to the one that follows it in memory
}

// wildArgs is what wild columns give (numerics N3.7): t = bias + the sum of x*w.
type wildArgs struct {
	t     *float32 // [rows][n*16]
	ldt   int      // bytes
	bias  *float32 // [n*16] or nil
	x     *float32 // [rows][count]
	w     *float32 // [n][count][16]
	rows  int
	n     int // blocks
	count int
}

// epilogueArgs is rows x cols sums on their way to y (numerics N3.5).
type epilogueArgs struct {
	y            *float32
	ldy          int // bytes
	c            *int32
	ldc          int // bytes
	lo           int // bytes from the sums of Hi to those of Lo, 0 for A8
	rows, cols   int
	zero         *int32
	scale        *float32
	wscale, bias *float32 // bias may be nil
	ldb          int      // bytes from row to row of bias, 0: it is the same for all
	sum          *int32
	mul          *float32 // not nil: results are multiplied by these, rows ldm bytes apart, whole vectors
	ldm          int
	add          int
	// I4F: c and sum are those of the first group, gstep bytes from group to
	// group; gscale has the groups of the first block, then of the next.
	groups, gstep int
	gscale        *float32
}

// wholeArgs is turns of 6 rows x 64 columns from bytes and I8 weights to y, in one call: what dotArgs, wildArgs and epilogueArgs say of them.
type wholeArgs struct {
	x            *byte
	lda          int
	w            *byte
	ws, k        int
	fetch        *byte
	nextw        int
	zero         *int32
	scale        *float32
	sum          *int32
	wscale, bias *float32
	wild, wildw  *float32
	count        int
	y            *float32
	ldy          int
	add, turns   int
}
