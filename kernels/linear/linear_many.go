package linear

import "qpt/internal/num"

// Many rows on AVX2: 6 rows x 16 columns, whose sums fill the registers, and 4 where 6 would leave some without use, with a block of
// columns unpacked once for as many rows of inputs as the second-level cache holds.
//
// Weights of 8 and 6 bits, and all for A16, are multiplied as words (VPMADDWD). Those of 4 bits for A8 as bytes, which
// is twice as fast (VPMADDUBSW) but saturates: not with codes as the unsigned side and inputs
// less 128 as the signed one, where the products of 32 k add up to 30,720 at most. So a sum goes in chunks of 32
// (16 in groups of 16): 16-bit sums, which one product with the chunk's gscale widens. With s = u - 128,
//
//	sum of u*w8 = sum over chunks of gscale*(sum of s*code) - sum over chunks of gscale*zero*(sum of s) + 128*Sum,
//
// the last two being where the sums start.

const (
	manyName  = "6x16"
	manyTile  = 6         // rows of a call of assembly at most
	manyBytes = 384 << 10 // of inputs beside a panel of 16 columns
	manyMin   = 5         // rows from which it is faster, about
)

// manyArgs are the operands of 6 or 4 rows x 16 columns.
type manyArgs struct {
	c      *int32 // [rows][16] sums
	x      *byte  // inputs, rows ldx bytes apart: bytes less 128, or words in the order of wordsAVX2
	ldx    int
	w      *byte  // codes [k/4][16][4], or words [k/4][2][16][2]; unpackCodes writes them
	packed *byte  // for unpackCodes: codes as they are stored
	n      int    // chunks, or steps of 4 k
	lo     int    // A16: bytes from c to the sums of low bytes
	start  *int32 // where the sums start [16]: for codes, A16
	fetch  *byte  // the weights to come next, or nil
	// For codes: gscale [n][16], twice; gscale*zero of pairs of chunks [pairs][16][2];
	// sums of inputs of the first row [pairs][2], rows lds bytes apart.
	gscale *int16
	offset *int16
	sums   *int16
	lds    int
	pairs  int
}

// manyScratch is what they need beside panel and c of Scratch.
type manyScratch struct {
	args   manyArgs
	x      []byte
	sums   []int16 // [rows][2*pairs]
	gscale []int16
	offset []int16
	start  [16]int32
	shape  manyShape // of the inputs in x
	keep   bool      // the next call is on the same rows
}

// manyShape is how the inputs of a layer are laid out.
type manyShape struct {
	codes bool // weights are multiplied as codes
	k     int  // inputs of a row
	size  int  // inputs of a step
	n     int  // steps
	pairs int  // of steps
	width int  // bytes of an input
	ldx   int  // bytes from row to row
	rows  int  // at a time
}

func newManyShape(x *Acts, w *Weight) manyShape {
	s := manyShape{codes: w.Format == I4 && x.Form == A8, k: num.Pad(w.K, 64), size: 4, width: 2}
	if s.codes {
		s.k, s.size, s.width = w.GroupedK(), min(w.Group, 32), 1
	}
	s.n = s.k / s.size
	s.pairs = (s.n + 1) / 2
	s.ldx = (num.Pad(s.k, 64) + 64) * s.width
	if s.ldx%512 == 0 { // rows in different sets of the cache
		s.ldx += 64
	}
	s.rows = min(max(manyBytes/s.ldx/manyTile, 1)*manyTile, num.Pad(x.M, manyTile))
	return s
}
